//! Where canaries are made: a run of Foil's own.

use super::super::prepared::Prepared;
use super::super::run::Host;
use super::super::undo_host::Machine;
use super::{Maker, Plan};
use anyhow::Context as _;
use foil_collector::{ArmOptions, Armed, EventLog, LogLimits, Observed, ProcessTree, Sensors, arm, audit, observed};
use foil_journal::{RunJournal, RunRecord};
use foil_manifest::{Network, ShieldLevel};
use foil_record::SensorProof;
use foil_shield::{ChildLimits, Ending, ExecRequest, RunSpec, ShieldedRun};
use foil_text::RunId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

/// How long a canary's program may run.
const PROGRAM: Duration = Duration::from_secs(10);
/// What a canary's programs may use: they do next to nothing, and what they say is nobody's business.
const LIMITS: ChildLimits =
    ChildLimits { processes: 32, memory: 1 << 30, file_size: 1 << 20, output: 0, overlay: 16 << 20 };
/// How much of a feed is kept while a canary is waited for.
const LOG: LogLimits = LogLimits { events: 2_000, bytes: 4 << 20 };
/// Files whose reading Falco's stock rule `Read sensitive file untrusted` notices, the best known first. An ordinary user may read all but
/// the first.
const SENSITIVE: [&str; 5] =
    ["/etc/shadow", "/etc/pam.conf", "/etc/pam.d/common-auth", "/etc/pam.d/system-auth", "/etc/pam.d/login"];

/// A feed's last canary, and when it was made.
type Line = Arc<Mutex<Option<(Instant, SensorProof)>>>;

/// A run of Foil's own, which lasts as long as the campaign: an event that names it is no other run's, however late it comes.
#[derive(Debug)]
pub(super) struct Nest {
    pub run: RunId,
    environment: String,
    target: String,
    level: ShieldLevel,
    network: Network,
    sensors: Arc<Sensors>,
    tree: Arc<ProcessTree>,
    observed: Arc<Observed>,
    /// Listens as long as there may be an event of a canary.
    armed: std::sync::Mutex<BTreeMap<String, Armed>>,
    lines: Mutex<BTreeMap<(String, Option<String>), Line>>,
    ground: OnceCell<Result<Ground, String>>,
}

/// What programs run in. Made once one is needed.
#[derive(Debug)]
struct Ground {
    journal: Arc<RunJournal>,
    scratch: PathBuf,
    shield: Arc<ShieldedRun>,
}

impl Nest {
    /// Nothing is made yet.
    pub fn begin(prepared: &Prepared) -> anyhow::Result<Self> {
        let run = RunId::new();
        let tree = ProcessTree::new();
        let own = arm(observed::NAME, &ArmOptions::new(run.clone(), Arc::clone(&tree)));
        let own = own.map_err(|blind| anyhow::anyhow!("{blind}"))?;
        let observed = own.observed().context("no log of what Foil itself sees")?;
        let levels = &prepared.shields;
        let level = [ShieldLevel::Confined, ShieldLevel::Overlay].into_iter().find(|level| levels.contains(level));
        let sources = &prepared.sources.0;
        Ok(Self {
            run,
            environment: prepared.environment.clone(),
            target: prepared.target.clone(),
            level: level.unwrap_or(ShieldLevel::Open),
            // What an operator's own program does may need it; what Foil does needs none.
            network: if sources.has_commands() { Network::Host } else { Network::Loopback },
            sensors: Arc::clone(&prepared.sensors),
            tree,
            observed,
            armed: std::sync::Mutex::new(BTreeMap::from([(observed::NAME.to_owned(), own)])),
            lines: Mutex::default(),
            ground: OnceCell::new(),
        })
    }

    /// The last canary of a feed. Whoever holds it makes the next.
    pub async fn line(&self, plan: &Plan) -> Line {
        let mut lines = self.lines.lock().await;
        Arc::clone(lines.entry((plan.feed.clone(), plan.kind.clone())).or_default())
    }

    /// Listens to a feed from now on; to the kernel's audit stream only until the collector that is returned is dropped.
    pub fn listen(&self, feed: &str) -> Result<(Arc<EventLog>, Option<Armed>), String> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = armed.get(feed) {
            return Ok((Arc::clone(&known.log), None));
        }
        let mut options = ArmOptions::new(self.run.clone(), Arc::clone(&self.tree));
        options.sensors = Arc::clone(&self.sensors);
        options.limits = LOG;
        let new = arm(feed, &options).map_err(|blind| blind.to_string())?;
        let log = Arc::clone(&new.log);
        if feed == audit::NAME {
            return Ok((log, Some(new)));
        }
        armed.insert(feed.to_owned(), new);
        Ok((log, None))
    }

    /// Makes a canary, and says in words what it is.
    ///
    /// # Errors
    /// A sentence: why it cannot be made.
    pub async fn make(&self, host: &Host, maker: &Maker) -> Result<String, String> {
        match maker {
            Maker::Audit => {
                audit::say(&format!("foil canary {}", self.run))?;
                Ok("a message to the kernel's audit system".to_owned())
            }
            Maker::Falco => {
                let file = sensitive().ok_or_else(|| {
                    let others: Vec<&str> = SENSITIVE.into_iter().skip(1).collect();
                    format!("it takes root, or one of these files: {}", others.join(", "))
                })?;
                let ground = self.ground(host).await?;
                // The path names this run, so that an alert without a process is told by its command line.
                let own = ground.scratch.join("canary").to_string_lossy().into_owned();
                self.execute(ground, "/bin/cat", vec![file.to_owned(), own]).await?;
                Ok(format!("`cat {file}` in the shield `{}`", self.level))
            }
            Maker::Command { command, .. } => {
                let words: Vec<String> = command.iter().map(|word| word.replace("{run}", self.run.as_str())).collect();
                let (program, args) = words.split_first().ok_or("its `command` is empty")?;
                let ground = self.ground(host).await?;
                self.execute(ground, program, args.to_vec()).await?;
                Ok(format!("`{}` in the shield `{}`", shell_words::join(command), self.level))
            }
        }
    }

    async fn execute(&self, ground: &Ground, program: &str, args: Vec<String>) -> Result<(), String> {
        let request = ExecRequest {
            program: program.to_owned(),
            args: args.clone(),
            timeout: Some(PROGRAM),
            ..ExecRequest::default()
        };
        let outcome = ground.shield.exec(request).await.map_err(|error| error.to_string())?;
        self.tree.feed(&ground.shield.tree());
        self.observed.push_exec(program, &args, outcome.pid, outcome.started, Some(outcome.ending));
        match outcome.ending {
            Ending::TimedOut => Err(format!("{program} did not end within {PROGRAM:?}")),
            Ending::Exited(_) | Ending::Signalled(_) => Ok(()),
        }
    }

    async fn ground(&self, host: &Host) -> Result<&Ground, String> {
        let made = self.ground.get_or_init(async || self.lay(host).await.map_err(|error| format!("{error:#}"))).await;
        made.as_ref().map_err(Clone::clone)
    }

    /// The scratch folder and the shield, written down as those of any run.
    async fn lay(&self, host: &Host) -> anyhow::Result<Ground> {
        let scratch = super::super::prepared::scratch(&self.run).map_err(anyhow::Error::msg)?;
        let journal = Arc::new(host.journal.begin(&RunRecord {
            run: self.run.clone(),
            started: jiff::Timestamp::now().to_string(),
            experiment: "canary".to_owned(),
            technique: "foil.canary".to_owned(),
            digest: String::new(),
            environment: self.environment.clone(),
            target: self.target.clone(),
            shield: self.level.to_string(),
            pid: std::process::id(),
        })?);
        match self.stand(host, &journal, &scratch).await {
            Ok(shield) => Ok(Ground { journal, scratch, shield: Arc::new(shield) }),
            Err(error) => {
                put_back(&journal).await;
                Err(error)
            }
        }
    }

    async fn stand(&self, host: &Host, journal: &RunJournal, scratch: &Path) -> anyhow::Result<ShieldedRun> {
        super::super::scratch::make(journal, scratch, None, self.level)?;
        let spec = RunSpec {
            run: self.run.clone(),
            level: self.level,
            network: self.network,
            identity: None,
            reads: sensitive().into_iter().map(ToOwned::to_owned).collect(),
            writes: Vec::new(),
            privileges: false,
            scratch: scratch.to_owned(),
            limits: LIMITS,
        };
        let shield = host.launcher.open(spec).await.map_err(|error| anyhow::anyhow!("{error} (shield)"))?;
        self.tree.feed(&shield.tree());
        Ok(shield)
    }

    /// Ends what canaries ran in, and undoes what they did. Returns what is left behind.
    pub async fn end(&self) -> Vec<String> {
        let Some(Ok(Ground { journal, shield, .. })) = self.ground.get() else { return Vec::new() };
        let mut left = Vec::new();
        if let Err(error) = shield.end_phase().await {
            left.push(format!("a canary's program may still be running: {error}"));
        }
        left.extend(put_back(journal).await);
        left
    }
}

/// Undoes what was done, and writes the run's end down.
async fn put_back(journal: &Arc<RunJournal>) -> Vec<String> {
    let journal = Arc::clone(journal);
    // Blocking: undo reads and writes files, and waits for the disk.
    let undone = tokio::task::spawn_blocking(move || {
        let report = journal.undo_all(&Machine).map_err(|error| error.to_string())?;
        let left: Vec<String> = report.residue().map(|(what, _)| what.clone()).collect();
        let ended = journal.finish(if left.is_empty() { "clean" } else { "residue" }, &serde_json::json!({}));
        ended.map(|()| left).map_err(|error| error.to_string())
    });
    match undone.await {
        Ok(Ok(left)) => left,
        Ok(Err(why)) => vec![format!("what canaries did could not be put back: {why}")],
        Err(error) => {
            vec![format!("the canaries' clean-up broke off: {error}; run `{}`", foil_text::hint::of_state(["cleanup"]))]
        }
    }
}

/// The first of the files that is there and that this user may read.
fn sensitive() -> Option<&'static str> {
    SENSITIVE.into_iter().find(|path| rustix::fs::access(*path, rustix::fs::Access::READ_OK).is_ok())
}
