//! T1046: which doors are there, and which are open.

use foil_sdk::prelude::*;
use std::ops::RangeInclusive;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    from: i64,
    ports: i64,
}

/// Tries the ports `$2` to `$3` of `$1` and says which are open. Not by `-z`, which not every `nc` has.
const SCAN: &str = r#"port=$2; while [ "$port" -le "$3" ]; do nc -w 1 "$1" "$port" </dev/null >/dev/null 2>&1 && echo "$port"; port=$((port+1)); done; true"#;

/// For the second pod, and for the scan: where packets are dropped each port takes a second.
const LONGEST: Duration = Duration::from_secs(40);

struct PodNetworkScan;

impl Technique for PodNetworkScan {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        let listens = middle(&range(parameters)?);
        let mut listener = kube::Pod::new(context, "scan-to")?;
        let serve = format!("while :; do nc -l -p {listens} </dev/null >/dev/null || sleep 1; done");
        listener.container()["command"] = ["/bin/sh", "-c", &serve].as_slice().into();
        // Both come up at once: one after the other may take longer than a phase.
        let listener = listener.create()?;
        kube::Pod::new(context, "scan-from")?.start()?;
        let pod = kube::wait(&listener, kube::Condition::Ready, LONGEST)?;
        let address = pod.pointer("/status/podIP").and_then(|address| address.as_str());
        let address = address.ok_or_else(|| Error::prerequisite("the pod that listens has no address"))?;
        Ok(State::new().with("address", address))
    }

    fn detonate(context: &Context, parameters: &Parameters, state: &State) -> Result<Evidence> {
        let (address, mut ports) = (state.need("address")?, range(parameters)?);
        let listens = middle(&ports).to_string();
        if context.dry {
            ports = middle(&ports)..=middle(&ports);
        }
        let scanner = kube::Pod::new(context, "scan-from")?.target();
        let (first, last) = (ports.start().to_string(), ports.end().to_string());
        let scan = kube::Command::new(&scanner, "/bin/sh").args(["-c", SCAN, "scan", address, &first, &last]);
        let evidence = Evidence::new(format!("tried the ports {first} to {last} of {address}")).about(&scanner);
        let evidence = evidence.fact("address", address).fact("ports", ports.count());
        match scan.timeout(LONGEST).run() {
            Ok(output) => {
                let open = output.ok()?.text();
                let open: Vec<&str> = open.lines().collect();
                Ok(evidence.fact("found", open.contains(&listens.as_str())).fact("open", open.join(" ")))
            }
            Err(Error::Timeout) => {
                Ok(evidence.fact("cut", "the packets are dropped, so that not every port was tried"))
            }
            Err(error) => Err(error),
        }
    }
}

fn range(parameters: &Parameters) -> Result<RangeInclusive<i64>> {
    let Parameters { from, ports } = *parameters;
    // A pod without capabilities cannot listen below 1024.
    if !(1_024..=65_535).contains(&from) || !(2..=1_000).contains(&ports) || from + ports > 65_536 {
        let text = "`from` must be 1024 to 65535 and `ports` 2 to 1000, and no port may be above 65535";
        return Err(Error::Invalid(text.to_owned()));
    }
    Ok(from..=from + ports - 1)
}

fn middle(ports: &RangeInclusive<i64>) -> i64 {
    i64::midpoint(*ports.start(), *ports.end())
}

foil_sdk::technique!(PodNetworkScan);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(answer: impl Fn() -> Result<kube::Output> + 'static) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster().on_pod_exec(move |_| answer());
        host
    }

    #[test]
    fn the_ports_of_its_own_pod_are_tried() {
        let host = host(|| Ok(fake::pod_output("8049\n")));
        let evidence = host.detonate::<PodNetworkScan>(&[]).unwrap();
        assert_eq!((evidence.get("found"), evidence.get("ports")), (Some("true"), Some("100")));
        let calls = host.kube_calls();
        assert!(calls.last().unwrap().ends_with(&format!("scan {} 8000 8099", evidence.get("address").unwrap())));
        let name = host.context().mark_for("scan-to");
        let pod = host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap();
        assert!(pod["spec"]["containers"][0]["command"][2].as_str().unwrap().contains("nc -l -p 8049 "));
    }

    #[test]
    fn dropped_packets_do_not_hide_that_it_happened() {
        let evidence = host(|| Err(Error::Timeout)).detonate::<PodNetworkScan>(&[]).unwrap();
        assert!(evidence.get("cut").is_some() && evidence.get("found").is_none());
        let refused = host(|| Err(Error::other("not-executable", "no sh"))).detonate::<PodNetworkScan>(&[]);
        assert!(refused.is_err());
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        let host = host(|| Ok(fake::pod_output("")));
        for (from, ports) in [(1_023, 10), (65_535, 2), (8_000, 1), (8_000, 1_001), (-1, 10), (i64::MAX, i64::MAX)] {
            let given = [("from", from.into()), ("ports", ports.into())];
            let error = host.detonate::<PodNetworkScan>(&given).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{from} {ports}: {error}");
        }
        assert!(host.kube_calls().is_empty());
    }

    #[test]
    fn the_twin_connects_once() {
        let host = host(|| Ok(fake::pod_output("8049\n")));
        let evidence = host.dry(true).detonate::<PodNetworkScan>(&[]).unwrap();
        assert_eq!((evidence.get("found"), evidence.get("ports")), (Some("true"), Some("1")));
    }
}
