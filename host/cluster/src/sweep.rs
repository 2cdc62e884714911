//! Finding what runs left in a cluster without any journal: by the labels that all they make, and all they change, bear.

use super::object::{self, PATCHED_LABEL, RUN_LABEL};
use super::{Address, KubeError, Selection, Session, undo};
use foil_record::UndoOutcome;
use foil_text::RunId;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of objects that are looked through. A cluster with many extensions has some hundred.
const MOST_KINDS: usize = 4_000;
/// Objects that are found at once; a second sweep finds the next.
const MOST: usize = 20_000;
/// Objects of a page: some are a mebibyte, and an answer has a bound.
const PAGE: u32 = 25;
/// The longest list of the kinds of a group that is read.
const MOST_VERSIONS: usize = 1_000;

/// An object that bears a run's label.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is.
    pub address: Address,
    /// Which.
    pub uid: String,
    /// What the label says.
    pub run: String,
    /// When it was made, where it says so.
    pub created: Option<Timestamp>,
    /// It belongs to another object, and goes with that.
    owned: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// What runs made.
    pub made: Vec<Found>,
    /// What runs changed and did not make.
    pub patched: Vec<Found>,
    /// What could not be looked at, a sentence each.
    pub unseen: Vec<String>,
}

/// What is to become of an object that a run made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its run is over.
    Sweep,
    /// Its run is alive on this machine.
    Alive,
    /// Its run is not known here and may be alive elsewhere.
    Young,
    /// It bears the label, and is not what a run makes.
    Stranger,
}

/// What is known of runs: read the known ones first, so that one which begins meanwhile is not taken for dead.
#[derive(Debug, Default)]
pub struct Runs {
    /// Those of the journal.
    pub known: BTreeSet<RunId>,
    /// Those whose lock is held.
    pub live: BTreeSet<RunId>,
}

impl Runs {
    /// What is to become of what a run made.
    pub fn fate(&self, found: &Found, now: Timestamp, older_than: SignedDuration) -> Fate {
        let Ok(run) = RunId::try_from(found.run.clone()) else { return Fate::Stranger };
        // Every name that a run makes has its id in it; a label alone may have been copied.
        if !found.address.name.as_ref().is_some_and(|name| name.contains(run.as_str())) {
            return Fate::Stranger;
        }
        let old = found.created.is_some_and(|created| now.duration_since(created) >= older_than);
        self.of_run(&run, old)
    }

    /// What is to become of what a run changed, by when the run began: when it changed it nobody knows.
    pub fn fate_of_patched(&self, found: &Found, now: Timestamp, older_than: SignedDuration) -> Fate {
        let Ok(run) = RunId::try_from(found.run.clone()) else { return Fate::Stranger };
        let began = ulid::Ulid::from_string(run.as_str()).ok().and_then(|id| i64::try_from(id.timestamp_ms()).ok());
        let began = began.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        self.of_run(&run, began.is_some_and(|began| now.duration_since(began) >= older_than))
    }

    fn of_run(&self, run: &RunId, old: bool) -> Fate {
        match (self.live.contains(run), self.known.contains(run) || old) {
            (true, _) => Fate::Alive,
            (false, true) => Fate::Sweep,
            (false, false) => Fate::Young,
        }
    }
}

/// Looks through all kinds of objects that can be listed.
///
/// # Errors
/// The kinds cannot be learned at all.
pub async fn survey(session: &Session) -> Result<Survey, KubeError> {
    let (kinds, mut unseen) = kinds(session).await?;
    let abreast = usize::from(session.cluster().rule.requests);
    let looked = |kind: Address, label: &'static str| async move {
        let listed = labelled(session, &kind, label).await;
        (kind, label, listed)
    };
    let both = kinds.into_iter().flat_map(|kind| [(kind.clone(), RUN_LABEL), (kind, PATCHED_LABEL)]);
    let mut lists = stream::iter(both.map(|(kind, label)| looked(kind, label))).buffer_unordered(abreast);
    let mut survey = Survey::default();
    let mut seen = BTreeSet::new();
    while let Some((kind, label, listed)) = lists.next().await {
        let (found, error) = listed;
        for found in found {
            // One object may be in two groups.
            if seen.len() >= MOST || !seen.insert((found.uid.clone(), label)) {
                continue;
            }
            if label == RUN_LABEL { survey.made.push(found) } else { survey.patched.push(found) }
        }
        match error {
            Some(error) if label == RUN_LABEL => unseen.push(format!("{kind}: {error}")),
            _ => {}
        }
    }
    if seen.len() >= MOST {
        unseen.push(format!("there are more than {MOST} objects: sweep again"));
    }
    unseen.sort();
    survey.unseen = unseen;
    for list in [&mut survey.made, &mut survey.patched] {
        list.sort_by(|a, b| (&a.run, &a.address).cmp(&(&b.run, &b.address)));
    }
    Ok(survey)
}

/// The kinds that can be listed, each of one version, and what of them could not be learned.
async fn kinds(session: &Session) -> Result<(Vec<Address>, Vec<String>), KubeError> {
    let groups = session.get_path("/apis").await?;
    let mut versions = vec![(String::new(), "v1".to_owned())];
    for group in array(&groups, "/groups") {
        let name = object::text(group, "/name");
        let preferred = object::text(group, "/preferredVersion/version");
        // Some kinds are in another version than the preferred one alone.
        let others = array(group, "/versions").map(|v| object::text(v, "/version")).filter(|v| *v != preferred);
        versions.extend(std::iter::once(preferred).chain(others).map(|version| (name.to_owned(), version.to_owned())));
    }
    let mut unseen = Vec::new();
    if versions.len() > MOST_VERSIONS {
        unseen.push(format!("the cluster has more than {MOST_VERSIONS} versions of groups; the others were left out"));
        versions.truncate(MOST_VERSIONS);
    }
    let learned = |(group, version): (String, String)| async move {
        // A path of checked parts: what the server says is no path either.
        let path = Address::new(&group, &version, "x", None, None).map(|a| a.path());
        let list = match path {
            Ok(path) => session.get_path(path.trim_end_matches("/x")).await,
            Err(error) => Err(error),
        };
        (group, version, list)
    };
    let abreast = usize::from(session.cluster().rule.requests);
    let lists: Vec<_> = stream::iter(versions.into_iter().map(learned)).buffered(abreast).collect().await;
    let (mut kinds, mut known) = (Vec::new(), BTreeSet::new());
    for (group, version, list) in lists {
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                let title = foil_text::visible(&format!("{group}/{version}"), 200);
                unseen.push(format!("the kinds of {}: {error}", title.trim_start_matches('/')));
                continue;
            }
        };
        for resource in array(&list, "/resources") {
            let name = object::text(resource, "/name");
            let listable = array(resource, "/verbs").any(|verb| verb == "list");
            if name.contains('/') || !listable || !known.insert((group.clone(), name.to_owned())) {
                continue;
            }
            match Address::new(&group, &version, name, None, None) {
                Ok(_) if kinds.len() >= MOST_KINDS => {}
                Ok(kind) => kinds.push(kind),
                Err(error) => unseen.push(error.to_string()),
            }
        }
    }
    if kinds.len() >= MOST_KINDS {
        unseen.push(format!("the cluster has more than {MOST_KINDS} kinds of objects; the others were left out"));
    }
    Ok((kinds, unseen))
}

fn array<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The objects of a kind that bear a label, and why it may not be all of them.
async fn labelled(session: &Session, kind: &Address, label: &str) -> (Vec<Found>, Option<String>) {
    let (mut found, mut more) = (Vec::new(), None);
    loop {
        let selection = Selection { labels: label, fields: "", limit: PAGE, more: more.as_deref() };
        let page = match session.list(kind, selection).await {
            Ok(page) => page,
            Err(error) => return (found, Some(error.to_string())),
        };
        for item in &page.items {
            match read(kind, item, label) {
                Ok(one) => found.push(one),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
        more = page.more;
        if more.is_none() || found.len() >= MOST {
            return (found, None);
        }
    }
}

fn read(kind: &Address, item: &Value, label: &str) -> Result<Found, KubeError> {
    let namespace = Some(object::text(item, "/metadata/namespace")).filter(|name| !name.is_empty());
    let name = object::text(item, "/metadata/name");
    Ok(Found {
        address: Address::new(&kind.group, &kind.version, &kind.plural, namespace, Some(name))?,
        uid: object::text(item, "/metadata/uid").to_owned(),
        run: object::label(item, label).unwrap_or_default().to_owned(),
        created: object::text(item, "/metadata/creationTimestamp").parse().ok(),
        owned: array(item, "/metadata/ownerReferences").next().is_some(),
    })
}

/// Deletes these objects and waits until they are gone: first what owns others, namespaces last.
pub async fn delete(session: &Session, objects: Vec<Found>) -> Vec<(Found, UndoOutcome)> {
    let abreast = usize::from(session.cluster().rule.requests);
    let (spaces, objects): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|o| o.address.group.is_empty() && o.address.plural == "namespaces");
    let (owned, owners): (Vec<_>, Vec<_>) = objects.into_iter().partition(|o| o.owned);
    let gone = |found: Found| async move {
        let outcome = undo::remove(session, &found.address, &found.uid).await;
        (found, outcome.unwrap_or_else(|error| UndoOutcome::Failed(error.to_string())))
    };
    let mut all = Vec::new();
    for part in [owners, owned, spaces] {
        let done: Vec<_> = stream::iter(part.into_iter().map(gone)).buffer_unordered(abreast).collect().await;
        all.extend(done);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, run: &str, created: &str) -> Found {
        let item = serde_json::json!({"metadata": {
            "namespace": "a", "name": name, "uid": "u", "creationTimestamp": created, "labels": {RUN_LABEL: run},
        }});
        read(&Address::new("", "v1", "pods", None, None).unwrap(), &item, RUN_LABEL).unwrap()
    }

    #[test]
    fn only_what_is_a_dead_runs_is_swept() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let (old, new) = ("2026-06-01T10:00:00Z", "2026-06-01T11:30:00Z");
        let [live, dead, other] = [RunId::new(), RunId::new(), RunId::new()];
        let runs = Runs { known: [live.clone(), dead.clone()].into(), live: [live.clone()].into() };
        let hour = SignedDuration::from_hours(1);
        for (run, created, fate) in [
            (live.as_str(), old, Fate::Alive),
            (dead.as_str(), new, Fate::Sweep),
            (other.as_str(), old, Fate::Sweep),
            (other.as_str(), new, Fate::Young),
            (other.as_str(), "2026-06-01T13:00:00Z", Fate::Young),
            (other.as_str(), "", Fate::Young),
            ("", old, Fate::Stranger),
            ("theirs", old, Fate::Stranger),
        ] {
            assert_eq!(runs.fate(&found(&format!("foil-{run}-x"), run, created), now, hour), fate, "{run} {created}");
            let plain = runs.fate(&found("web-1", run, created), now, hour);
            assert_eq!(plain, Fate::Stranger, "a copied label");
        }
    }

    #[test]
    fn what_was_patched_is_as_old_as_its_run() {
        let run = RunId::new();
        let (runs, hour) = (Runs::default(), SignedDuration::from_hours(1));
        let patched = found("theirs", run.as_str(), "2020-01-01T00:00:00Z");
        let now = Timestamp::now();
        assert_eq!(runs.fate_of_patched(&patched, now, hour), Fate::Young);
        assert_eq!(runs.fate_of_patched(&patched, now + SignedDuration::from_hours(2), hour), Fate::Sweep);
    }

    #[test]
    fn what_the_server_says_is_no_path() {
        let kind = Address::new("", "v1", "pods", None, None).unwrap();
        let item = serde_json::json!({"metadata": {"namespace": "a/../b", "name": "x"}});
        assert!(read(&kind, &item, RUN_LABEL).is_err());
    }
}
