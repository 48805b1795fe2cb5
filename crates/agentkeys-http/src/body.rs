use std::time::Duration;

use agentkeys_api::ErrorCode;
use axum::extract::Request;
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::Refusal;

const LARGEST_BODY: usize = 64 * 1024;
/// For a body that dribbles in.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The whole body of a request, within limits.
pub(crate) async fn read_all(request: Request) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(ErrorCode::BodyTooLarge, "the body is larger than 64 KiB");
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > LARGEST_BODY as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), LARGEST_BODY);
    let cut_off = || Refusal::new(ErrorCode::InvalidJson, "the body did not arrive in full");
    let collected = tokio::time::timeout(LONGEST_WAIT, body.collect()).await.map_err(|_| cut_off())?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(cut_off()),
    }
}
