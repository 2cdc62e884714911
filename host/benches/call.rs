//! One call of `exec` that policy denies, beside one inert call (the time), both by a guest through the engine: the price of
//! a decision, its sentence and its line in the audit log. And the decision alone, denied beside allowed.
//! `cargo bench --workspace --bench call`.

mod common;

use common::guest::{NOW, START, Starts, repeated, technique};
use foil::capability::{Guest, World};
use foil::engine::bindings::types::Context;
use foil::engine::{Budget, Compiler, Engine, Phase, detonate};
use foil_journal::{Journal, RunJournal, RunRecord};
use foil_manifest::{Digest, Limits, ShieldLevel, inspect};
use foil_policy::{EffectiveLimits, Permission};
use foil_text::RunId;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls of one guest: below the default limit of 10,000.
const CALLS: usize = 5000;
const ROUNDS: usize = 20;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let bench = Bench::new(folder.path());
    let starts = Starts { allow: "/bin/true", program: "/bin/true", argument: "--now" };
    let [denied, inert, nothing] = [START, NOW, ""].map(|what| technique("bench.call", starts, &repeated(CALLS, what)));
    let permission = Arc::new(permission(&denied));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // The guest's own start and end are the same for all three.
        let empty = runtime.block_on(bench.fire(&nothing, &permission));
        let each = |took: Duration| took.saturating_sub(empty) / CALLS as u32;
        let denied = each(runtime.block_on(bench.fire(&denied, &permission)));
        let inert = each(runtime.block_on(bench.fire(&inert, &permission)));
        if round > 0 {
            ours.push(denied);
            theirs.push(inert);
        }
    }
    common::line("denied exec, through the engine", &mut ours, "inert call", &mut theirs);
    decide(&permission);
}

/// The decision alone, which is pure.
fn decide(permission: &Permission) {
    let timed = |arguments: &[String]| {
        let began = Instant::now();
        for _ in 0..CALLS {
            // Only the time counts; that they answer differently is for the tests to say.
            let _ = black_box(permission.exec(black_box("/bin/true"), arguments, &[]));
        }
        began.elapsed() / CALLS as u32
    };
    let (mut denied, mut allowed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        denied.push(timed(&["--now".to_owned()]));
        allowed.push(timed(&[]));
    }
    common::line("denied exec, the decision alone", &mut denied, "allowed exec", &mut allowed);
}

struct Bench {
    engine: Engine,
    journal: Arc<RunJournal>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let journal = Journal::open(&folder.join("state")).expect("a journal");
        let text = || "bench".to_owned();
        let record = RunRecord {
            run: RunId::new(),
            started: foil_journal::now(),
            experiment: text(),
            technique: text(),
            digest: text(),
            environment: text(),
            target: text(),
            shield: text(),
            pid: std::process::id(),
        };
        let journal = Arc::new(journal.begin(&record).expect("a run"));
        Self { engine: Engine::new(folder.join("cache"), Compiler::Here).expect("an engine"), journal }
    }

    /// Detonates once. No shield: nothing that is measured comes so far.
    async fn fire(&self, bytes: &[u8], permission: &Arc<Permission>) -> Duration {
        let linked = permission.linked();
        let module = self
            .engine
            .compile(bytes, &Digest::of(bytes))
            .and_then(|code| self.engine.link(&code, &linked))
            .expect("a module");
        let world = World {
            run: self.journal.run().clone(),
            level: ShieldLevel::Confined,
            shield: None,
            journal: Arc::clone(&self.journal),
            sources: Default::default(),
            effects: Default::default(),
            observed: None,
            cluster: None,
            containers: Default::default(),
            cancel: Default::default(),
        };
        let none = Limits::default();
        let budget = Budget::new(EffectiveLimits::of(&none, &none, &none));
        let guest = Guest::new(Arc::new(world), Arc::clone(permission), budget, Arc::default());
        let context =
            Context { run_id: self.journal.run().to_string(), scratch: "/tmp".into(), dry: false, cluster: None };
        let began = Instant::now();
        let phase = Phase { engine: &self.engine, module: &module, guest };
        detonate(phase, &context, &[], &[]).await.expect("it ends well");
        began.elapsed()
    }
}

fn permission(module: &[u8]) -> Permission {
    let manifest = inspect(module).expect("a module").manifest;
    let grant = manifest.capabilities.iter().cloned().map(|c| c.without_reason()).collect();
    Permission {
        request: manifest.capabilities,
        grant,
        guardrail: None,
        variables: Default::default(),
        own: Vec::new(),
    }
}
