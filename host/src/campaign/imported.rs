//! What an imported test has beyond a technique: it is handed to its interpreter, its clean-up is run once its links are settled,
//! and then Foil looks what that left.

use super::prepared::Prepared;
use super::run::Live;
use crate::engine::bindings::types::{Context, Fact, Parameter, Value};
use crate::module::{Imported, OBTAIN};
use foil_atomic::judge::judge_with;
use foil_atomic::{Script, substitute};
use foil_record::{CleanupReport, TestReport};
use foil_shield::ShieldedRun;
use foil_shield::scene::Scene;
use foil_text::{clip, cut};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Kept of a phase for what is not the script's own.
const SPARE: Duration = Duration::from_secs(2);

/// The two stages of a test that its interpreter's `detonate` knows; its `warmup` looks at the prerequisites.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    Command,
    Cleanup,
}

/// What the guest is given: a technique's own parameters, or a test with its arguments. No manifest can declare names with `#`.
pub(super) fn parameters(prepared: &Prepared, stage: Stage) -> Result<Cow<'_, [Parameter]>, String> {
    let Some(imported) = &prepared.technique.imported else { return Ok(Cow::Borrowed(&prepared.parameters)) };
    let given = &prepared.parameters;
    let obtain = given.iter().any(|p| p.name == OBTAIN && matches!(p.value, Value::Boolean(true)));
    let wrong = |error: serde_json::Error| format!("the test cannot be handed on: {error}");
    let timeout = prepared.authorised.limits.wall.saturating_sub(SPARE);
    let stage = match stage {
        Stage::Command => "command",
        Stage::Cleanup => "cleanup",
    };
    let all = [
        ("#test", Value::Text(imported.script.to_json().map_err(wrong)?)),
        ("#arguments", Value::Text(serde_json::to_string(&values(given)).map_err(wrong)?)),
        ("#stage", Value::Text(stage.to_owned())),
        ("#obtain", Value::Boolean(obtain)),
        ("#timeout-ms", Value::Integer(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))),
    ];
    Ok(all.into_iter().map(|(name, value)| Parameter { name: name.to_owned(), value }).collect())
}

/// Arguments as text, as they are put into scripts.
fn values(given: &[Parameter]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Texts(list) => list.join(" "),
    };
    given.iter().map(|parameter| (parameter.name.clone(), text(&parameter.value))).collect()
}

/// Why a test with these values cannot run here, or may not: what an overlay cannot carry, and what is destructive by a value only.
pub(super) fn unmet(imported: &Imported, given: &[Parameter]) -> Result<Option<String>, String> {
    let values = values(given);
    if let Some(why) = judge_with(&imported.script, &values).destructive
        && imported.judgement.destructive.is_none()
    {
        return Err(format!("with these values {why}, as it does not by itself: leave its arguments as they are"));
    }
    // What the clean-up cannot put back vanishes all the same.
    let act = Script { cleanup: None, ..imported.script.clone() };
    Ok(judge_with(&act, &values).beyond_overlay.map(|why| format!("{why} (shield)")))
}

/// What is known of a test's end.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// What was there before its command; `None`: the command did not come to run.
    pub before: Option<Result<Scene, String>>,
    cleanup: Option<CleanupReport>,
    left: Vec<String>,
    /// Why nobody could look.
    blind: Option<String>,
}

impl Aftermath {
    /// What the report says of the test.
    pub fn report(self, prepared: &Prepared) -> Option<TestReport> {
        let script = &prepared.technique.imported.as_ref()?.script;
        Some(TestReport {
            technique: script.technique.clone(),
            technique_name: script.technique_name.clone(),
            number: script.number,
            guid: script.guid.clone(),
            name: script.name.clone(),
            description: script.description.clone(),
            executor: script.executor.name().to_owned(),
            command: substitute(&script.command, &values(&prepared.parameters), &script.atomics),
            elevation: script.elevation,
            ran: self.before.is_some(),
            cleanup: self.cleanup,
            left: self.left,
            not_looked: self.blind,
        })
    }
}

impl Live<'_> {
    /// What is there before the test's command, to compare with.
    pub(super) async fn look_before(&self, shield: Option<&Arc<ShieldedRun>>) {
        // The benign twin does nothing that there would be to clean up.
        if self.prepared.technique.imported.is_none() || self.prepared.dry {
            return;
        }
        let scene = match shield {
            Some(shield) => shield.look().await.map_err(|error| error.to_string()),
            None => Err("the test had no shield".to_owned()),
        };
        self.back().aftermath.before = Some(scene);
    }

    /// Runs the test's own clean-up, and looks what it forgot: all of it vanishes with the overlay, and its author should know.
    pub(super) async fn clean_up(&self) {
        let Some(before) = self.back().aftermath.before.take() else { return };
        let shield = self.shield().clone();
        let Some(shield) = shield.filter(|_| !self.host.cancel.is_cancelled()) else {
            self.back().aftermath.blind = Some("it was stopped before its clean-up".to_owned());
            self.back().aftermath.before = Some(before);
            return;
        };
        let cleanup = self.run_clean_up(&shield).await;
        let seen = match &before {
            Ok(before) => shield.look().await.map(|after| after.left(before)).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        let mut back = self.back();
        let aftermath = &mut back.aftermath;
        aftermath.before = Some(before);
        aftermath.cleanup = cleanup;
        match seen {
            Ok(left) => aftermath.left = left.lines().collect(),
            Err(why) => aftermath.blind = Some(why),
        }
    }

    async fn run_clean_up(&self, shield: &Arc<ShieldedRun>) -> Option<CleanupReport> {
        let prepared = &*self.prepared;
        prepared.technique.imported.as_ref()?.script.cleanup.as_ref()?;
        let failed = |summary: String| Some(CleanupReport { summary, exit: None, stderr: String::new() });
        let parameters = match parameters(prepared, Stage::Cleanup) {
            Ok(parameters) => parameters,
            Err(why) => return failed(why),
        };
        let technique = &prepared.technique;
        let linked = prepared.authorised.permission.linked();
        let module = match self.host.engine.prepare(technique.bytes.clone(), technique.code, &linked).await {
            Ok(module) => module,
            Err(error) => return failed(format!("{error:#}")),
        };
        let world = Arc::new(self.world(BTreeMap::new(), None, Some(Arc::clone(shield)), None));
        let context = self.context();
        let done = crate::engine::detonate(self.phase(&module, &world), &context, &parameters, &[]).await;
        match done {
            Err(error) => failed(error.to_string()),
            Ok(evidence) => {
                let fact = |name: &str| {
                    evidence.facts.iter().find(|fact| fact.name == name).map(|Fact { value, .. }| clip(value, 4096))
                };
                Some(CleanupReport {
                    summary: cut(&evidence.summary, 1024),
                    exit: fact("exit").and_then(|status| status.parse().ok()),
                    stderr: fact("stderr").unwrap_or_default(),
                })
            }
        }
    }

    pub(super) fn context(&self) -> Context {
        Context {
            run_id: self.prepared.run.to_string(),
            scratch: self.prepared.scratch.to_string_lossy().into_owned(),
            dry: self.prepared.dry,
            cluster: self.prepared.cluster_context(),
        }
    }
}
