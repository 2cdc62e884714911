//! The shield of an ordinary user, with user namespaces and without: this binary again, as nobody.

mod shield_support;

use foil_manifest::{Network, ShieldLevel};
use foil_shield::{Ending, ShieldError};
use shield_support::*;
use std::process::{Command, Output};

/// Runs one of the ignored tests below as nobody.
fn as_nobody(prefix: &[&str], test: &str) -> Output {
    let line = again(test);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).args(prefix).args(line);
    command.env_remove("TMPDIR").output().unwrap()
}

fn assert_passed(output: &Output) {
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    text.lines().filter(|line| line.contains("skipped:")).for_each(|line| println!("{line}"));
}

#[test]
fn an_ordinary_user_has_confined() {
    if !is_root() {
        skip!("the tests run as an ordinary user already");
    }
    assert_passed(&as_nobody(&[], "confined_body"));
}

#[tokio::test]
#[ignore = "run by `an_ordinary_user_has_confined`"]
async fn confined_body() {
    let stage = match Stage::attempt(ShieldLevel::Confined, |spec| spec.limits.processes = 20).await {
        Ok(stage) => stage,
        Err(ShieldError::Unavailable { reason, .. }) => skip!("{reason}"),
        Err(other) => panic!("{other}"),
    };
    let uid = rustix::process::getuid().as_raw();
    let outcome = stage.sh("id -u; ls /proc | grep -cE '^[0-9]+$'; grep NoNewPrivs /proc/self/status").await;
    let text = out(&outcome);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], uid.to_string(), "the same user inside and outside");
    assert!(lines[1].parse::<u32>().unwrap() < 8 || !stage.run.gaps().is_empty(), "{text}");
    assert!(lines[2].ends_with('1'));
    assert_ne!(stage.sh("echo x > /tmp/foil-must-not-be").await.ending, Ending::Exited(0));
    assert_eq!(stage.sh("cat /etc/hostname >/dev/null; echo x > here").await.ending, Ending::Exited(0));
    assert_eq!(out(&stage.sh("tail -n +3 /proc/net/dev | grep -c ' lo:'").await).trim(), "1");
    // A mount, a namespace, a capability: none of what the user namespace might have given.
    assert_ne!(stage.sh("unshare -m true || mount -t tmpfs x .").await.ending, Ending::Exited(0));
    assert!(out(&stage.sh("grep CapEff /proc/self/status").await).ends_with("0000000000000000\n"));
    let sleep = long_sleep();
    let bomb = format!("i=0; while [ $i -lt 150 ]; do sleep {sleep} & i=$((i+1)); done; exit 0");
    match stage.run.exec(shell(&bomb)).await {
        Ok(outcome) => assert_ne!(outcome.ending, Ending::Exited(0)),
        Err(error) => assert!(matches!(error, ShieldError::Limit(_)), "{error}"),
    }
    assert!(alive(&sleep).len() <= 20);
    stage.run.end_phase().await.unwrap();
    assert_eq!(alive(&sleep), [0_u32; 0]);
    let url = stage.run.publish("/x".into(), b"y".to_vec()).await.unwrap();
    assert!(url.ends_with("/x"));
    stage.run.close().await.unwrap();

    let overlay = Stage::attempt(ShieldLevel::Overlay, |_| {}).await;
    assert!(matches!(overlay, Err(ShieldError::Unavailable { .. })));
    let other = Stage::attempt(ShieldLevel::Open, |spec| spec.privileges = true).await.unwrap();
    assert_eq!(other.sh("exit 2").await.ending, Ending::Exited(2));
}

#[test]
fn without_user_namespaces_only_what_can_be_held_is_given() {
    if !is_root() {
        skip!("making a place without user namespaces takes root");
    }
    // A user namespace that allows no further ones, left without capabilities.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
                  exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all \"$@\"";
    let prefix = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh"];
    let probe = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .args(prefix)
        .arg("true")
        .output()
        .unwrap();
    if !probe.status.success() {
        skip!("{}", String::from_utf8_lossy(&probe.stderr).trim());
    }
    assert_passed(&as_nobody(&prefix, "walking_body"));
}

#[tokio::test]
#[ignore = "run by `without_user_namespaces_only_what_can_be_held_is_given`"]
async fn walking_body() {
    match Stage::attempt(ShieldLevel::Confined, |_| {}).await {
        Err(ShieldError::Unavailable { reason, .. }) => assert!(reason.contains("network"), "{reason}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a run without network, without a network namespace"),
    }
    let stage = Stage::attempt(ShieldLevel::Confined, |spec| {
        spec.network = Network::Host;
        spec.limits.processes = 20;
    })
    .await;
    let stage = match stage {
        Ok(stage) => stage,
        Err(ShieldError::Unavailable { reason, .. }) => skip!("{reason}"),
        Err(other) => panic!("{other}"),
    };
    assert!(stage.run.gaps()[0].contains("no namespaces"), "{:?}", stage.run.gaps());
    let mut bystander = Bystander::new();
    let outcome = stage.sh(&format!("kill -9 {}", bystander.0.id())).await;
    assert!(outcome.ending != Ending::Exited(0) && bystander.lives(), "the same user's, but outside: {outcome:?}");
    let outcome = stage.sh("kill -9 $PPID").await;
    assert_ne!(outcome.ending, Ending::Exited(0), "init is outside too");
    assert_ne!(stage.sh("echo x > /tmp/foil-must-not-be").await.ending, Ending::Exited(0));
    let outcome = stage.sh(&format!("cat /proc/{}/environ", bystander.0.id())).await;
    assert_ne!(outcome.ending, Ending::Exited(0));

    let sleep = long_sleep();
    stage.sh(&format!("(setsid sh -c 'sleep {sleep} & sleep {sleep}; true' >/dev/null 2>&1 &)")).await;
    assert!(until(|| alive(&sleep).len() == 2));
    assert_eq!(stage.run.end_phase().await.unwrap(), 3);
    assert_eq!(alive(&sleep), [0_u32; 0]);

    // Nothing but init's own count holds this.
    let bomb = format!("i=0; while [ $i -lt 300 ]; do sleep {sleep} & i=$((i+1)); done; sleep 2; exit 0");
    let error = stage.run.exec(shell(&bomb)).await.unwrap_err();
    assert!(matches!(error, ShieldError::Limit(_)), "{error}");
    assert!(wait_for(&sleep, false));
    stage.sh(&format!("(setsid sleep {sleep} >/dev/null 2>&1 &)")).await;
    assert!(wait_for(&sleep, true));
    stage.run.close().await.unwrap();
    assert_eq!(alive(&sleep), [0_u32; 0]);
}
