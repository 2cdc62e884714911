//! Making an object whose name only this run uses: an answer that was lost makes no second one, and no doubt is forgotten.

use super::object::{self, RUN_LABEL};
use super::{Address, KubeError, Session};
use serde_json::Value;
use std::time::Duration;

/// How often it is tried, and the pauses between.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Session {
    /// Creates an object that bears the run's label. Where no answer came, or the server asks to try again, it is looked for, and
    /// then asked for once more.
    ///
    /// # Errors
    /// Those of the request. Once a try was not answered, no later refusal counts as one ([`KubeError::is_refusal`]): the object may
    /// be there all the same, and undo has to look.
    pub async fn create_own(&self, address: &Address, object: &Value) -> Result<Value, KubeError> {
        let mut pause = FIRST_PAUSE;
        let mut unsure = false;
        let mut tries = 1;
        loop {
            let error = match self.create(address, object).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            if !unsure && error.is_refusal() {
                return Err(error);
            }
            unsure = true;
            if let Some(found) = self.own(address).await {
                return Ok(found);
            }
            if tries >= TRIES || !error.is_transient() {
                return Err(KubeError::Unanswered(format!("a try was not answered, and the last one: {error}")));
            }
            tries = tries.saturating_add(1);
            tokio::time::sleep(error.retry_after().unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// The object, where it is there and this run's.
    async fn own(&self, address: &Address) -> Option<Value> {
        let found = self.get(address).await.ok()?;
        let run = self.run.as_ref()?;
        (object::label(&found, RUN_LABEL) == Some(run.as_str())).then_some(found)
    }
}
