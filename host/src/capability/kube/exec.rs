//! `foil:host/kube-exec`: programs in pods of this run's own, or that the environment names.

use super::write::intend;
use super::{effect, from_kube, timely};
use crate::capability::Guest;
use crate::capability::files_write::from_journal;
use crate::capability::guest::failure;
use crate::engine::bindings::imports::kube_exec::{Command, Host, Output};
use crate::engine::bindings::types::Error;
use foil_cluster::object::{self, RUN_LABEL};
use foil_cluster::undo::Act;
use foil_cluster::{Address, Session, exec};
use foil_journal::{Learned, fault};
use foil_manifest::KubeVerb;
use foil_manifest::kube::KubeCall;
use serde_json::{Value, json};
use std::sync::Arc;

const MAX_ARGS: usize = 1024;
const MAX_ARG_BYTES: usize = 128 << 10;
const MAX_LINES: u32 = 10_000;

impl Host for Guest {
    async fn run(&mut self, command: Command) -> wasmtime::Result<Result<Output, Error>> {
        self.begin()?;
        self.budget.child()?;
        Ok(self.run_in_pod(command).await)
    }

    async fn logs(
        &mut self,
        namespace: String,
        pod: String,
        container: Option<String>,
        lines: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.begin()?;
        Ok(self.read_logs(&namespace, &pod, container.as_deref(), lines).await)
    }
}

/// A pod in which programs may be started.
struct Place {
    uid: String,
    container: String,
    /// Made by this run, and so deleted with all that runs in it.
    ours: bool,
}

impl Guest {
    async fn run_in_pod(&mut self, command: Command) -> Result<Output, Error> {
        let pod = Address::new("", "v1", "pods", Some(&command.namespace), Some(&command.pod))?;
        valid(&command)?;
        let call = KubeCall { command: Some((&command.program, &command.args)), ..pod.call(KubeVerb::Exec) };
        self.decide_kube(&call)?;
        let line = call.to_string();
        let session = self.cluster()?;
        let place = self.place(&session, &pod, command.container.as_deref()).await?;
        let keep =
            if command.discard_output { 0 } else { usize::try_from(self.budget.limits().output).unwrap_or(usize::MAX) };
        let started = exec::Exec {
            pod: pod.clone(),
            container: place.container.clone(),
            command: [vec![command.program.clone()], command.args].concat(),
            tty: command.tty,
            timeout: self.patience(command.timeout_ms),
            keep,
        };
        let world = Arc::clone(&self.world);
        let ended = effect(&self.world, async move {
            // In a pod of the run's own it dies with the pod, which the journal knows of.
            let act = || Act::Started { pod: pod.clone(), uid: place.uid.clone() };
            let id = if place.ours { None } else { Some(intend(&world, &session, line, act())?) };
            fault::point("effect.before");
            // A run that is stopped does not wait: what was started dies with the pod, or is said.
            let ended = tokio::select! {
                ended = exec::run(&session, started) => ended,
                () = world.cancel.cancelled() => Ok(exec::Ended::unseen()),
            };
            fault::point("effect.after");
            if let Some(id) = id {
                match &ended {
                    Ok(ended) => {
                        let known = json!({ "ended": ended.status.is_some() || ended.failure.is_some() });
                        world.journal.applied(id, Learned::Object(&known)).map_err(from_journal)?;
                    }
                    Err(error) => super::not_done(&world, id, error)?,
                }
            }
            ended.map_err(from_kube)
        })
        .await?;
        if let Some(why) = ended.failure {
            let missing = why.contains("executable file not found") || why.contains("no such file or directory");
            return Err(failure(
                "not-executable",
                if missing { format!("the container has no {}", command.program) } else { why },
            ));
        }
        let Some(status) = ended.status else { return Err(Error::Timeout) };
        let (stdout, stderr) = (ended.stdout, ended.stderr);
        Ok(Output {
            status,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            stdout_dropped: stdout.dropped,
            stderr_dropped: stderr.dropped,
        })
    }

    async fn read_logs(
        &mut self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        lines: u32,
    ) -> Result<Vec<u8>, Error> {
        let pod = Address::new("", "v1", "pods", Some(namespace), Some(pod))?;
        let call = pod.call(KubeVerb::Logs);
        self.decide_kube(&call)?;
        let (call, within) = (call.to_string(), self.patience(None));
        if !(1..=MAX_LINES).contains(&lines) {
            return Err(Error::Invalid(format!("`lines` is {lines}; it must be 1 to {MAX_LINES}")));
        }
        let session = self.cluster()?;
        let place = self.place(&session, &pod, container).await?;
        timely(within, &call, exec::logs(&session, &pod, &place.container, lines)).await
    }

    /// Whether the pod is one in which this run may start something, looked at now: a name alone may be somebody else's by now.
    async fn place(&mut self, session: &Session, pod: &Address, container: Option<&str>) -> Result<Place, Error> {
        let call = pod.call(KubeVerb::Get).to_string();
        let object = timely(self.patience(None), &call, session.get(pod)).await?;
        let uid = object::text(&object, "/metadata/uid").to_owned();
        let (namespace, name) = (pod.namespace.as_deref().unwrap_or_default(), pod.name.as_deref().unwrap_or_default());
        // A pod that a controller made of what this run made bears its mark, and goes with it.
        let run = session.run.as_ref().map(ToString::to_string);
        let made = session.made.uid(pod).is_some_and(|made| made == uid);
        let ours = made || (run.is_some() && object::label(&object, RUN_LABEL) == run.as_deref());
        if !ours && !session.cluster().rule.names_pod(namespace, name) {
            let why = format!("{pod} is neither this run's nor named by `kubernetes: pods:` of foil.yaml");
            return Err(failure("not-ours", why));
        }
        let all = object.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
        let mut names = all.map(|c| object::text(c, "/name"));
        let chosen = match container {
            None => names.next(),
            Some(wanted) => names.find(|name| *name == wanted),
        };
        let container = chosen.ok_or_else(|| Error::NotFound(format!("the container of {pod}")))?.to_owned();
        self.note_pod(session, pod, &object);
        Ok(Place { uid, container, ours })
    }

    /// Tells the collectors which containers are this run's: a sensor on the node may know nothing else of them.
    pub(super) fn note_pod(&self, session: &Session, address: &Address, pod: &Value) {
        let run = session.run.as_ref().map(ToString::to_string);
        if address.plural != "pods" || !address.group.is_empty() || object::label(pod, RUN_LABEL) != run.as_deref() {
            return;
        }
        let all = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
        for id in all.map(|c| object::text(c, "/containerID")).filter_map(|id| id.rsplit("://").next()) {
            self.world.containers.add(id);
        }
        self.world.containers.is_on(object::text(pod, "/metadata/uid"), object::text(pod, "/spec/nodeName"));
    }
}

fn valid(command: &Command) -> Result<(), Error> {
    let bytes: usize = command.args.iter().map(String::len).fold(0, usize::saturating_add);
    if command.args.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return Err(Error::Invalid(format!("at most {MAX_ARGS} arguments of {MAX_ARG_BYTES} bytes together")));
    }
    if command.program.contains('\0') || command.args.iter().any(|a| a.contains('\0')) {
        return Err(Error::Invalid("a NUL byte cannot be passed to a program".into()));
    }
    Ok(())
}
