//! One request and its answer.

use super::{Client, Facts};
use crate::{KubeError, transport};
use http::Request;
use http::response::Parts;
use http_body_util::BodyExt as _;
use kube::client::Body;

/// The largest answer that is read, in bytes: a page of 500 objects of some size.
const MAX_ANSWER: usize = 8 << 20;

/// Sends a request, and reads the answer to its end.
///
/// # Errors
/// The server cannot be reached, does not answer, or says more than is read.
pub async fn send(client: &Client, request: Request<Vec<u8>>, facts: &Facts) -> Result<(Parts, Vec<u8>), KubeError> {
    let response = client.send(request.map(Body::from)).await.map_err(|e| transport::of_client(&e, facts))?;
    let (parts, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            KubeError::TooLarge(MAX_ANSWER)
        } else {
            match transport::of_error(&*error, facts) {
                // It was sent, whatever broke afterwards.
                KubeError::Unreachable(why) => KubeError::Unanswered(why),
                other => other,
            }
        }
    })?;
    Ok((parts, body.to_bytes().to_vec()))
}
