use utoipa::{OpenApi as _, openapi};

use super::{attestation, derive_address, devices, healthz, sign_message};

/// What goes for every route, in Markdown.
const ABOUT: &str = "\
The worker and the development signer answer alike. The development signer has no `/v1/devices`, no `/log` and no
`/restore`: 404 `not_found`. Until the worker has its master secret, connections to it wait. Only while it waits for the
shares of a backup, it has `/restore` and no `/log`, and answers 503 `signer_disabled` to all with a bearer.

A route with a bearer takes the 30-day session token of the account that it is asked for. A token that is bound to a
device key comes as `Authorization: DPoP …`, with a proof in `DPoP`; one that is not, as `Authorization: Bearer …`,
which the worker refuses (`device_key_required`).

Refusals are [problems](#problem), for programs by their code in `error`. Besides those listed, each route can answer 400
`token_in_url`, 405 `method_not_allowed` with `Allow`, 421 `host_not_allowed` (`/healthz` answers under any name) and 500
`internal`; one that takes a body 400 `invalid_json`, `invalid_field`, `unknown_field`, `duplicate_field` and
`json_too_complex`, 413 `body_too_large` and 415 `unsupported_media_type`. Each 429 and 503, and each 403 `device_waiting`,
has `Retry-After`, in seconds. Each 401 has `WWW-Authenticate`, and each answer to a proof `DPoP-Nonce`, for the next one.
`X-Request-Id` is the caller's own, or a new one.";

/// Of the header `DPoP`.
pub(super) const PROOF: &str = "The proof by the session's device key, for this method, URL and token, with the nonce of the \
                                last `DPoP-Nonce` (RFC 9449)";
/// Of 400, without a body.
pub(super) const AMBIGUOUS: &str = "`ambiguous_auth`";
/// Of 401.
pub(super) const UNAUTHORIZED: &str = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`; of the proof \
                                       `dpop_required`, `dpop_invalid`, `dpop_replayed`, `use_dpop_nonce`";
/// Of 403, where a pinned device is needed.
pub(super) const FORBIDDEN: &str = "`session_required`, `account_mismatch`; at the worker `device_key_required`, \
                                    `device_not_pinned`, `device_waiting`";
/// Of 409, where a device may be pinned on the way.
pub(super) const NO_PLACE: &str = "`device_limit_reached`: at the worker, for a device that is to be pinned";
/// Of 429, where a device may be pinned on the way.
pub(super) const TOO_OFTEN: &str = "`rate_limited`: at the worker, the account's devices have changed too often";
/// Of 503, where something is recorded first.
pub(super) const UNAVAILABLE: &str = "`signer_disabled`, `broker_unreachable`, `audit_unavailable`";

/// The description of the API (OpenAPI 3.1), made from the handlers.
pub fn openapi() -> openapi::OpenApi {
    let mut description = Described::openapi();
    description.info = openapi::Info::new("AgentKeys signer", env!("CARGO_PKG_VERSION"));
    description.info.description = Some(ABOUT.to_owned());
    description
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    attestation::show,
    attestation::activate,
    derive_address::create,
    devices::list,
    devices::update,
    devices::delete,
    devices::update_recovery,
    healthz::show,
    sign_message::create,
))]
struct Described;
