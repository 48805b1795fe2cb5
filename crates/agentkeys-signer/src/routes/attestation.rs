use agentkeys_api::ErrorCode;
use agentkeys_http::Refusal;

/// `GET /attestation`
pub(super) async fn show() -> Refusal {
    Refusal::new(ErrorCode::NotAttested, "this signer has no evidence of where it runs")
}
