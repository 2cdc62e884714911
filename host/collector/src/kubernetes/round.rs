//! One look at the logs of all of Falco's pods.

use super::super::Blindness;
use super::pods::{Followed, Pod};
use super::poller::Listeners;
use super::text::{Piece, Place};
use super::trouble::Trouble;
use foil_cluster::{Address, KubeError, Selection, Session};
use foil_policy::cluster::FalcoPods;
use foil_text::cut;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Logs that are read at once, at most.
const AT_ONCE: usize = 16;
/// Most pods: the largest cluster that Kubernetes promises to support has 5,000 nodes.
const MOST: usize = 10_000;
/// Pods of one page. Each may have tens of KiB, and an answer is bounded.
const PAGE: u32 = 100;
/// Bytes of a log that are read at once, and pieces of one log a round: the rest is the next round's.
const PIECE: usize = 2 << 20;
const PIECES: usize = 4;

/// What is known of the pods from one round to the next.
#[derive(Debug)]
pub struct Rounds {
    session: Session,
    falco: FalcoPods,
    at_once: usize,
    /// What was written before is nobody's.
    armed: Timestamp,
    pods: BTreeMap<String, Followed>,
}

impl Rounds {
    /// Nothing was looked at yet.
    pub fn new(session: Session, armed: Timestamp) -> Self {
        let rule = &session.cluster().rule;
        // Half of what the operator allows, so that what runs ask is not kept waiting by what watches them.
        let at_once = usize::from(rule.requests / 2).clamp(1, AT_ONCE);
        Self { falco: rule.falco.clone(), at_once, session, armed, pods: BTreeMap::new() }
    }

    /// Reads all that was written by now, and says why an absence proves nothing for the moment, and where.
    pub async fn next(&mut self, listeners: &Listeners) -> Vec<Trouble> {
        let all = |why: String| vec![Trouble::All(Blindness::Dead(why))];
        if let Err(why) = self.session.cluster().verify().await {
            return all(why.to_string());
        }
        let FalcoPods { namespace, selector, container } = &self.falco;
        let listed = match self.list().await {
            Ok(listed) => listed,
            Err(error) => {
                return all(format!("Falco's pods in {namespace} cannot be listed: {error}"));
            }
        };
        if listed.is_empty() {
            return all(format!(
                "there is no pod `{selector}` in the namespace {namespace}: foil.yaml says by `kubernetes: falco:` where Falco's are"
            ));
        }
        let mut known = std::mem::take(&mut self.pods);
        let followed = listed.into_iter().map(|pod| {
            let mut followed = known.remove(&pod.uid).unwrap_or_else(|| Followed::new(pod.clone()));
            followed.pod = pod;
            followed
        });
        let reader = Reader { session: &self.session, falco: &self.falco, armed: self.armed, listeners };
        let read = futures_util::stream::iter(followed).map(|followed| reader.follow(followed));
        let read: Vec<Followed> = read.buffer_unordered(self.at_once).collect().await;
        self.pods = read.into_iter().map(|followed| (followed.pod.uid.clone(), followed)).collect();
        for gone in known.into_values().filter(|gone| !gone.done && !gone.id.is_empty()) {
            let name = &gone.pod.name;
            let why = format!("the pod {namespace}/{name} is gone, and what {container} wrote last with it");
            listeners.lost(&gone.pod.node, &why);
        }
        trouble(&self.pods)
    }

    async fn list(&self) -> Result<Vec<Pod>, KubeError> {
        let address = Address::new("", "v1", "pods", Some(&self.falco.namespace), None)?;
        let (mut pods, mut more) = (Vec::new(), None);
        loop {
            let selection = Selection { labels: &self.falco.selector, fields: "", limit: PAGE, more: more.as_deref() };
            let page = self.session.list(&address, selection).await?;
            pods.extend(page.items.iter().filter_map(|pod| Pod::of(pod, &self.falco.container)));
            more = page.more;
            if pods.len() > MOST {
                return Err(KubeError::Invalid(format!("there are more than {MOST}")));
            }
            if more.is_none() {
                return Ok(pods);
            }
        }
    }
}

/// What is the matter with pods.
fn trouble(pods: &BTreeMap<String, Followed>) -> Vec<Trouble> {
    let of = |followed: &Followed| {
        let why = format!("{}: {}", followed.pod.name, followed.trouble.as_ref()?);
        Some(Trouble::Pod { node: followed.pod.node.clone(), why })
    };
    pods.values().filter_map(of).collect()
}

struct Reader<'a> {
    session: &'a Session,
    falco: &'a FalcoPods,
    armed: Timestamp,
    listeners: &'a Listeners,
}

impl Reader<'_> {
    async fn follow(&self, mut followed: Followed) -> Followed {
        followed.trouble = self.step(&mut followed).await.err();
        followed
    }

    /// Reads what is new in one pod. `Err`: why it is not known to the end, for now.
    async fn step(&self, followed: &mut Followed) -> Result<(), String> {
        let name = &self.falco.container;
        let Some(container) = followed.pod.container.clone() else {
            return Err(format!("it has no container `{name}`: `kubernetes: falco: container:` names Falco's"));
        };
        // What happens on its node meanwhile nobody notices.
        let stands = if container.over && !followed.pod.ended {
            Err(format!("its container `{name}` does not run ({})", container.reason))
        } else {
            Ok(())
        };
        if container.id.is_empty() {
            return stands;
        }
        let again = !followed.id.is_empty() && followed.id != container.id;
        if again {
            self.rest(followed, container.restarts).await;
            followed.place = Some(Place::at(self.armed));
        } else if followed.torn {
            let why = format!(
                "the log of the pod {} was replaced between two looks, as kubelets do with long ones",
                followed.pod.name
            );
            self.listeners.lost(&followed.pod.node, &why);
            followed.place = followed.place.take().map(Place::without_anchor);
        }
        followed.torn = false;
        (followed.id, followed.restarts) = (container.id.clone(), container.restarts);
        let mut place = match followed.place.take() {
            Some(place) => place,
            // Until this succeeds nothing was read, and everything is still to come.
            None => self.begin(&followed.pod.name).await?,
        };
        let read = self.drain(&followed.pod, &mut place, false, container.over).await;
        followed.place = Some(place);
        followed.done = container.over && read.is_ok();
        read.map_err(|stop| match stop {
            Stop::Torn => {
                followed.torn = true;
                "its log is another one than before".to_owned()
            }
            Stop::Why(why) => why,
        })?;
        stands
    }

    /// Where to begin: behind the last line that was there before anybody listened, so that a log that is replaced is noticed.
    async fn begin(&self, pod: &str) -> Result<Place, String> {
        let last = self.piece(pod, "tailLines=1").await?;
        Place::behind(&last, self.armed)
    }

    /// What the container wrote before it was started again.
    async fn rest(&self, followed: &mut Followed, restarts: u64) {
        let pod = &followed.pod;
        let lost = |why: &str| {
            let name = &pod.name;
            let why = format!("Falco was started again in the pod {name}, and what it wrote last {why}");
            self.listeners.lost(&pod.node, &why);
        };
        if restarts != followed.restarts.saturating_add(1) {
            return lost("is not kept: it was started more than once");
        }
        // Between its end and its beginning it noticed nothing.
        let gap = format!("Falco was started again in the pod {}, and noticed nothing meanwhile", pod.name);
        self.listeners.lost(&pod.node, &gap);
        let mut place = followed.place.take().unwrap_or_else(|| Place::at(self.armed));
        match self.drain(pod, &mut place, true, true).await {
            Ok(()) => {}
            Err(Stop::Torn) => lost("is not in its log any more"),
            Err(Stop::Why(why)) => lost(&format!("was not read: {why}")),
        }
    }

    /// Reads on to the end. `over`: the container writes nothing any more.
    async fn drain(&self, pod: &Pod, place: &mut Place, previous: bool, over: bool) -> Result<(), Stop> {
        for _ in 0..PIECES {
            let query = format!("sinceTime={}&previous={previous}", place.since());
            let piece = self.piece(&pod.name, &query).await.map_err(Stop::Why)?;
            let full = piece.len() >= PIECE;
            match place.read(&piece, over && !full, |time, line| self.listeners.deliver(pod, time, line)) {
                Piece::Foreign(why) => return Err(Stop::Why(why)),
                // A line longer than a piece, or more lines in a second than fit into one.
                Piece::Torn | Piece::Read { lines: 0, .. } if full => {
                    self.listeners.lost(&pod.node, &format!("the pod {} writes more than can be read", pod.name));
                    *place = self.begin(&pod.name).await.map_err(Stop::Why)?;
                    return Ok(());
                }
                Piece::Torn => return Err(Stop::Torn),
                Piece::Read { .. } if full => {}
                Piece::Read { open: true, .. } => return Err(Stop::Why("its last line has no end yet".into())),
                Piece::Read { .. } => return Ok(()),
            }
        }
        Err(Stop::Why("it writes faster than is read".into()))
    }

    async fn piece(&self, pod: &str, query: &str) -> Result<Vec<u8>, String> {
        let FalcoPods { namespace, container, .. } = self.falco;
        let address = Address::new("", "v1", "pods", Some(namespace), Some(pod)).map_err(|e| e.to_string())?;
        // The container's name is one, or the pod would have none of that name.
        let path = format!("{}/log?container={container}&timestamps=true&limitBytes={PIECE}&{query}", address.path());
        let read = self.session.raw(&path).await;
        read.map_err(|error| format!("its log cannot be read: {}", cut(&error.to_string(), 300)))
    }
}

/// Why a log was not read to its end.
enum Stop {
    /// The line that was read last is not in it.
    Torn,
    /// Another reason.
    Why(String),
}
