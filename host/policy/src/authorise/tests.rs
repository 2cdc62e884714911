use super::*;
use crate::{Environment, environment, grants};
use foil_manifest::Kind;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn manifest(more: &str) -> Manifest {
    let text = format!("id = 'linux.x'\ntitle = 'x'\nattack = ['T1059']\n{more}");
    Manifest::from_toml(&text, Kind::Technique).expect(&text)
}

fn grant(more: &str) -> Grant {
    let text = format!(
        "[[grant]]\nmodule = 'linux.x'\ndigest = '{DIGEST}'\ngranted = 2026-01-01\nreviewer = 'r'\nreason = 'x'\n{more}"
    );
    grants::parse(&text).expect(&text).list.remove(0)
}

fn decide(
    manifest: &Manifest,
    grant: &Grant,
    environment: &Environment,
    shield: Option<ShieldLevel>,
) -> Result<Authorised, String> {
    authorise(Case {
        manifest,
        grant,
        environment,
        shield,
        variables: Variables { run: "r".into(), scratch: "/tmp/foil-r".into(), ..Variables::default() },
        own: &["/var/lib/foil".to_owned(), "/srv/ops/grants.toml".to_owned()],
        logs: &["/sensor/logs/falco.json".to_owned()],
        is_folder: &|path| path == "/var/log",
    })
    .map_err(|r| r.0)
}

fn level(result: Result<Authorised, String>) -> Result<ShieldLevel, String> {
    result.map(|a| a.shield)
}

const ALL: &str = "shield = ['confined', 'overlay', 'open']";

#[test]
fn destructive_stays_in_the_overlay_unless_the_environment_says_otherwise() {
    let m = manifest("impact = 'destructive'\nshield = ['confined', 'overlay']");
    let here = Environment::default();
    assert_eq!(level(decide(&m, &grant(ALL), &here, None)), Ok(ShieldLevel::Overlay));
    let refused = decide(&m, &grant(ALL), &here, Some(ShieldLevel::Confined)).unwrap_err();
    assert_eq!(
        refused,
        "linux.x is `destructive` in the shield `confined`, and Foil without a foil.yaml allows at most `reversible`: it may \
         run in the shield `overlay` only"
    );
    let confined = manifest("impact = 'destructive'");
    assert!(decide(&confined, &grant(ALL), &here, None).is_err());
    assert!(decide(&m, &grant("shield = ['confined']"), &here, None).is_err());
    let lab = environment::parse("environment: lab\nimpact: destructive\n").expect("well-formed");
    assert_eq!(level(decide(&m, &grant(ALL), &lab, None)), Ok(ShieldLevel::Confined));
    let quiet = environment::parse("environment: quiet\nimpact: read-only\n").expect("well-formed");
    assert!(decide(&m, &grant(ALL), &quiet, None).unwrap_err().contains("raise `impact`"));
}

#[test]
fn a_grant_can_cap_the_impact() {
    let m = manifest("impact = 'reversible'");
    assert!(decide(&m, &grant("impact = 'reversible'"), &Environment::default(), None).is_ok());
    let refused = decide(&m, &grant("impact = 'read-only'"), &Environment::default(), None).unwrap_err();
    assert!(refused.contains("the grant allows at most `read-only`"), "{refused}");
}

#[test]
fn open_needs_the_environment_too() {
    let m = manifest("impact = 'read-only'\nshield = ['confined', 'open']");
    let open = Some(ShieldLevel::Open);
    assert!(decide(&m, &grant(ALL), &Environment::default(), open).is_err());
    let lab = environment::parse("environment: lab\nshield: [confined, open]\n").expect("well-formed");
    assert_eq!(level(decide(&m, &grant(ALL), &lab, open)), Ok(ShieldLevel::Open));
    assert!(decide(&m, &grant(""), &lab, open).is_err());
    assert_eq!(level(decide(&m, &grant(ALL), &lab, None)), Ok(ShieldLevel::Confined));
}

#[test]
fn foils_own_files_are_out_of_reach() {
    let m = manifest("impact = 'reversible'");
    for rules in [
        "[[grant.capability]]\nname = 'files-write'\nallow = ['/var/**']",
        "[[grant.capability]]\nname = 'files-write'\nallow = ['/srv/ops/*.toml']",
        "[[grant.capability]]\nname = 'exec'\nallow = ['/bin/id']\nwrites = ['/var/lib']",
    ] {
        let refused = decide(&m, &grant(rules), &Environment::default(), None).unwrap_err();
        assert!(refused.contains("Foil's own files"), "{refused}");
    }
    let fine = "[[grant.capability]]\nname = 'files-write'\nallow = ['/etc/cron.d/*', '{scratch}/**']";
    assert!(decide(&m, &grant(fine), &Environment::default(), None).is_ok());
}

#[test]
fn programs_may_change_folders_only_in_the_overlay() {
    let exec = |path: &str| format!("name = 'exec'\nallow = ['/bin/rm ...']\nwrites = ['{path}']\n");
    let both = |path: &str, shield: &str| {
        let m = manifest(&format!(
            "impact = 'reversible'\nshield = ['{shield}']\n[[capability]]\n{}reason = 'x'",
            exec(path)
        ));
        let g = grant(&format!("{ALL}\n[[grant.capability]]\n{}", exec(path)));
        decide(&m, &g, &Environment::default(), None)
    };
    assert!(both("/var/log", "confined").unwrap_err().contains("/var/log"));
    assert_eq!(both("/var/log", "overlay").map(|a| a.children.writes), Ok(vec!["/var/log".to_owned()]));
    assert_eq!(both("/var/log/x", "confined").map(|a| a.children.writes), Ok(vec!["/var/log/x".to_owned()]));
}

#[test]
fn the_log_of_a_sensor_is_out_of_reach_but_in_the_overlay() {
    let m = manifest("impact = 'reversible'\nshield = ['confined', 'overlay']");
    for scope in [
        "name = 'exec'\nallow = ['/bin/true']\nwrites = ['/sensor/logs/falco.json']",
        "name = 'files-write'\nallow = ['/sensor/logs/*']",
        "name = 'files-write'\nallow = ['/sensor/**']",
    ] {
        let g = grant(&format!("{ALL}\n[[grant.capability]]\n{scope}\n"));
        let here = Environment::default();
        let refused = decide(&m, &g, &here, Some(ShieldLevel::Confined)).unwrap_err();
        assert!(refused.contains("a log that Foil follows"), "{refused}");
        assert_eq!(level(decide(&m, &g, &here, Some(ShieldLevel::Overlay))), Ok(ShieldLevel::Overlay));
    }
}
