//! Taking back what a run did to a cluster, from what the journal says, and looking at it.

use super::object::{self, RUN_LABEL, difference, fingerprint, merged, substance};
use super::wait::Pauses;
use super::{Address, Cluster, ClusterRef, KubeError, Session, Unverified};
use foil_journal::family::{FamilyUndo, Known};
use foil_record::UndoOutcome;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod family;
pub use family::{FAMILY, KubeUndo};

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// It created this object.
    Created {
        /// Where.
        address: Address,
    },
    /// It changed this object.
    Patched {
        /// Where.
        address: Address,
        /// Which: another one of the same name is somebody else's.
        uid: String,
        /// The row with the object as it was.
        before: i64,
        /// The row with the patch.
        patch: i64,
    },
    /// It started a program in a pod that no run made.
    Started {
        /// The pod.
        pod: Address,
        /// Which.
        uid: String,
    },
    /// A credential was issued, and thrown away.
    Issued {
        /// What, in words.
        what: String,
        /// When it ends at the latest, nanoseconds since 1970, if the cluster does what it was asked.
        until: u64,
        /// It ends with this object of the run's own.
        with: Option<String>,
    },
}

impl Act {
    /// The object that it is about.
    fn address(&self) -> Option<&Address> {
        match self {
            Self::Created { address } | Self::Patched { address, .. } => Some(address),
            // Only looked at: whether the pod is gone that it was started in.
            Self::Started { pod, .. } => Some(pod),
            Self::Issued { .. } => None,
        }
    }

    /// What undoing it does, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Created { address } => format!("delete {address}"),
            Self::Patched { address, .. } => format!("give {address} its earlier content"),
            Self::Started { pod, .. } => format!("look whether {pod} is gone, with what was started in it"),
            Self::Issued { what, .. } => format!("{what} cannot be recalled: it ends by itself"),
        }
    }
}

/// How long one undo goes on trying while the cluster does not answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long an object may take to go. A namespace goes last of all that is in it.
const GONE: Duration = Duration::from_secs(60);
const NAMESPACE_GONE: Duration = Duration::from_secs(150);
/// How long a create whose answer was lost may still be under way.
const ARRIVES: Duration = Duration::from_millis(1500);

/// One connection a cluster, for all undos of this process.
static HANDS: LazyLock<Mutex<Hands>> = LazyLock::new(|| Mutex::new(Hands::default()));

#[derive(Default)]
struct Hands {
    runtime: Option<Arc<tokio::runtime::Runtime>>,
    clusters: HashMap<ClusterRef, Arc<Cluster>>,
    /// When a cluster last did not answer in time: the next effects are not waited for as long.
    silent: HashMap<ClusterRef, Instant>,
}

/// Undoes one act. Blocks; call it where blocking is allowed.
pub fn undo(undo: &FamilyUndo, known: &Known<'_>) -> UndoOutcome {
    let KubeUndo { cluster: reference, act } = match KubeUndo::read(undo) {
        Ok(undo) => undo,
        Err(why) => return UndoOutcome::Failed(why),
    };
    let (reference, act) = (&reference, &act);
    let hands = || HANDS.lock().unwrap_or_else(PoisonError::into_inner);
    let (runtime, cluster, patience) = {
        let mut hands = hands();
        let runtime = match &hands.runtime {
            Some(runtime) => Arc::clone(runtime),
            None => {
                let made = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                match made {
                    Ok(runtime) => Arc::clone(hands.runtime.insert(Arc::new(runtime))),
                    Err(error) => return UndoOutcome::Failed(format!("no thread to reach the cluster with: {error}")),
                }
            }
        };
        let fresh = || Arc::new(Cluster::again(reference.clone()));
        let cluster = Arc::clone(hands.clusters.entry(reference.clone()).or_insert_with(fresh));
        let silent = hands.silent.get(reference).is_some_and(|at| at.elapsed() < PATIENCE);
        (runtime, cluster, if silent { Duration::ZERO } else { PATIENCE })
    };
    let outcome = runtime.block_on(patiently(&cluster, act, known, patience));
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            if error.is_transient() {
                let mut hands = hands();
                hands.silent.insert(reference.clone(), Instant::now());
                // A connection that does not answer is made anew the next time.
                hands.clusters.remove(reference);
            }
            UndoOutcome::Failed(error.to_string())
        }
    }
}

/// Tries again while the cluster does not answer, or is too busy.
async fn patiently(
    cluster: &Arc<Cluster>,
    act: &Act,
    known: &Known<'_>,
    patience: Duration,
) -> Result<UndoOutcome, KubeError> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(250);
    loop {
        match once(cluster, act, known).await {
            Err(error) if error.is_transient() && Instant::now() + pause < end => {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(Duration::from_secs(5));
            }
            other => return other,
        }
    }
}

async fn once(cluster: &Arc<Cluster>, act: &Act, known: &Known<'_>) -> Result<UndoOutcome, KubeError> {
    // What cannot be recalled takes no cluster.
    if let Act::Issued { what, until, with } = act {
        return Ok(irrevocable(what, *until, with.as_deref(), known.learned.as_ref()));
    }
    // An undo was authorised with its effect; another cluster was not.
    match cluster.verify().await {
        Ok(()) => {}
        Err(Unverified::Unknown { error, .. }) => return Err(error),
        Err(refused) => return Ok(UndoOutcome::Failed(refused.to_string())),
    }
    let session = Session::of_run(Arc::clone(cluster), known.run);
    match act {
        Act::Created { address } => created(&session, address, known).await,
        Act::Patched { address, uid, before, patch } => {
            let json = |number: &i64| -> Result<Option<Value>, String> {
                Ok((known.kept)(*number)?.and_then(|content| serde_json::from_slice(&content).ok()))
            };
            match json(before).and_then(|before| Ok(before.zip(json(patch)?))) {
                Ok(contents) => patched(&session, address, uid, contents.as_ref(), known).await,
                Err(why) => Ok(UndoOutcome::Failed(why)),
            }
        }
        Act::Started { pod, uid } => started(&session, pod, uid, known).await,
        Act::Issued { .. } => Ok(UndoOutcome::NothingToDo),
    }
}

fn irrevocable(what: &str, until: u64, with: Option<&str>, learned: Option<&Value>) -> UndoOutcome {
    let said = learned.and_then(|l| l.get("expires-at")).and_then(Value::as_u64);
    let time = |ns: u64| {
        jiff::Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| ns.to_string(), |t| format!("{t:.0}"))
    };
    let end = with.map(|with| format!("with {with}, which this run made, and ")).unwrap_or_default();
    UndoOutcome::Irrevocable(match said {
        Some(until) => {
            format!("{what} was issued, and thrown away at once; it ends {end}at the latest on {}", time(until))
        }
        None => format!("{what} may have been issued, and nobody has it; it would end {end}about {}", time(until)),
    })
}

async fn look(session: &Session, address: &Address) -> Result<Option<Value>, KubeError> {
    match session.get(address).await {
        Err(error) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

async fn created(session: &Session, address: &Address, known: &Known<'_>) -> Result<UndoOutcome, KubeError> {
    let learned = known.learned.as_ref().and_then(|l| l.get("uid")).and_then(Value::as_str);
    let mut found = look(session, address).await?;
    if found.is_none() && learned.is_none() {
        tokio::time::sleep(ARRIVES).await;
        found = look(session, address).await?;
    }
    let Some(object) = found else { return Ok(UndoOutcome::NothingToDo) };
    let uid = object::text(&object, "/metadata/uid").to_owned();
    let ours = match learned {
        Some(learned) => learned == uid,
        // Its name has the run's id in it, and the label only this run gives.
        None => object::label(&object, RUN_LABEL) == Some(known.run.as_str()),
    };
    if !ours {
        return Ok(UndoOutcome::Conflict("somebody else made another one of that name".into()));
    }
    remove(session, address, &uid).await
}

/// Deletes the object of this UID and waits until it is gone.
///
/// # Errors
/// Those of the requests but `not found`.
pub async fn remove(session: &Session, address: &Address, uid: &str) -> Result<UndoOutcome, KubeError> {
    match session.delete(address, uid).await {
        Ok(true) => return Ok(UndoOutcome::Undone),
        Ok(false) => {}
        Err(error) if error.is_not_found() => return Ok(UndoOutcome::Undone),
        // Not this UID any more, or already being deleted with what belongs to it: the look below tells.
        Err(error) if error.code() == Some(409) => {}
        Err(error) if error.is_refusal() && !error.is_transient() => return Ok(UndoOutcome::Failed(error.to_string())),
        Err(error) => return Err(error),
    }
    let most = if address.plural == "namespaces" { NAMESPACE_GONE } else { GONE };
    let end = Instant::now() + most;
    let mut pauses = Pauses::default();
    loop {
        let Some(object) = look(session, address).await? else { return Ok(UndoOutcome::Undone) };
        if object::text(&object, "/metadata/uid") != uid {
            return Ok(UndoOutcome::Conflict("it was deleted, and somebody else made another one of that name".into()));
        }
        if Instant::now() >= end {
            let held = object.pointer("/metadata/finalizers").map(Value::to_string).unwrap_or_default();
            let held = if held.is_empty() {
                String::new()
            } else {
                format!(", held by its finalizers {}", foil_text::cut(&held, 200))
            };
            return Ok(UndoOutcome::Failed(format!("it is being deleted, and still there after {most:?}{held}")));
        }
        tokio::time::sleep(pauses.next_pause()).await;
    }
}

async fn patched(
    session: &Session,
    address: &Address,
    uid: &str,
    contents: Option<&(Value, Value)>,
    known: &Known<'_>,
) -> Result<UndoOutcome, KubeError> {
    let Some((before, patch)) = contents else {
        return Ok(UndoOutcome::Failed("what it was before is not in the journal any more".into()));
    };
    let wanted = fingerprint(before);
    let after = match known.learned.as_ref().and_then(|l| l.get("sha256")).and_then(Value::as_str) {
        Some(learned) => learned.to_owned(),
        None => fingerprint(&merged(before, patch)),
    };
    // Each round is one look and one conditional change: somebody else's change between the two makes another round.
    for _ in 0..5 {
        let Some(now) = look(session, address).await? else {
            return Ok(UndoOutcome::Conflict("somebody else deleted it".into()));
        };
        if object::text(&now, "/metadata/uid") != uid {
            return Ok(UndoOutcome::Conflict("somebody else made another one of that name".into()));
        }
        let is = fingerprint(&now);
        if is == wanted {
            return Ok(UndoOutcome::NothingToDo);
        }
        if is != after {
            return Ok(UndoOutcome::Conflict("somebody else changed it since; it was left as it is".into()));
        }
        let version = json!({ "metadata": { "resourceVersion": object::text(&now, "/metadata/resourceVersion") } });
        let back = merged(&difference(&substance(&now), &substance(before)), &version);
        match session.patch(address, &back).await {
            Ok(restored) if fingerprint(&restored) == wanted => return Ok(UndoOutcome::Undone),
            Ok(_) => {
                return Ok(UndoOutcome::Failed(
                    "it was written back, and the cluster made something else of it".into(),
                ));
            }
            Err(error) if error.code() == Some(409) => {}
            Err(error) if error.is_refusal() && !error.is_transient() => {
                return Ok(UndoOutcome::Failed(error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(UndoOutcome::Conflict("somebody else is changing it right now".into()))
}

async fn started(session: &Session, pod: &Address, uid: &str, known: &Known<'_>) -> Result<UndoOutcome, KubeError> {
    let gone = look(session, pod).await?.is_none_or(|object| object::text(&object, "/metadata/uid") != uid);
    if gone {
        return Ok(UndoOutcome::Undone);
    }
    if known.learned.as_ref().is_some_and(|l| l.get("ended") == Some(&Value::Bool(true))) {
        let why = format!(
            "it ended by itself; {pod} is not Foil's, and what it may have left running in there cannot be seen"
        );
        return Ok(UndoOutcome::Irrevocable(why));
    }
    Ok(UndoOutcome::Failed(format!("it may still run in {pod}, which is not Foil's to delete")))
}
