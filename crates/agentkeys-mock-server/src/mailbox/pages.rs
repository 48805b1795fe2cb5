use std::fmt::Write;

use agentkeys_api::ErrorCode;
use agentkeys_http::{Json, Refusal};
use agentkeys_types::{EmailAddress, Timestamp};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::{Joined, Mail, Mailbox};

/// Mails come from anywhere: whatever escaping should miss still runs no script and loads nothing.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
:root { color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8886; }
pre { white-space: pre-wrap; font-size: 1.1rem; }
";

pub(super) fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/mail", get(list).delete(clear))
        .route("/mail/{id}", get(show))
        .route("/mail/style.css", get(style))
        .with_state(mailbox)
}

#[derive(Serialize)]
struct MailView<'a> {
    id: u64,
    from: Option<&'a str>,
    to: Vec<&'a str>,
    subject: &'a str,
    text: &'a str,
    html: Option<&'a str>,
    received_at: Timestamp,
}

impl<'a> From<&'a Mail> for MailView<'a> {
    fn from(mail: &'a Mail) -> Self {
        Self {
            id: mail.id,
            from: mail.from.as_ref().map(EmailAddress::as_str),
            to: mail.to.iter().map(EmailAddress::as_str).collect(),
            subject: &mail.subject,
            text: &mail.text,
            html: mail.html.as_deref(),
            received_at: mail.received_at,
        }
    }
}

#[derive(Deserialize)]
struct Filter {
    to: Option<String>,
}

/// `GET /mail?to=`
async fn list(
    State(mailbox): State<Mailbox>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let address = filter.to.as_deref().map(str::parse::<EmailAddress>).transpose();
    let address = address.map_err(|error| Refusal::new(ErrorCode::InvalidEmail, error.to_string()))?;
    let mails = mailbox.mails(address.as_ref());
    if wants_json(&headers) {
        return Ok(Json(mails.iter().map(|mail| MailView::from(&**mail)).collect::<Vec<_>>()).into_response());
    }
    let mut rows = String::new();
    for mail in &mails {
        let (to, subject) = (escape(&Joined(&mail.to).to_string()), escape(&mail.subject));
        let _ = write!(
            rows,
            "<tr><td>{at}</td><td>{to}</td><td><a href=\"/mail/{id}\">{subject}</a></td></tr>",
            at = mail.received_at,
            id = mail.id,
            subject = if subject.is_empty() { "(no subject)" } else { &subject },
        );
    }
    let body = if rows.is_empty() {
        "<p>No mail yet.</p>".to_owned()
    } else {
        format!("<table><tr><th>received</th><th>to</th><th>subject</th></tr>{rows}</table>")
    };
    Ok(page("Mailbox (development)", &body))
}

/// `GET /mail/{id}`
async fn show(State(mailbox): State<Mailbox>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let mail = id.parse().ok().and_then(|id| mailbox.find(id));
    let mail = mail.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such mail, or no longer"))?;
    if wants_json(&headers) {
        return Ok(Json(MailView::from(&*mail)).into_response());
    }
    let body = format!(
        "<p>To {to}, from {from}, received {at}</p><pre>{text}</pre><p><a href=\"/mail\">All mails</a></p>",
        to = escape(&Joined(&mail.to).to_string()),
        from = mail.from.as_ref().map_or_else(|| "nobody".to_owned(), |from| escape(from.as_str())),
        at = mail.received_at,
        text = escape(&mail.text),
    );
    Ok(page(&mail.subject, &body))
}

/// `DELETE /mail`
async fn clear(State(mailbox): State<Mailbox>) -> StatusCode {
    mailbox.clear();
    StatusCode::NO_CONTENT
}

/// `GET /mail/style.css`
async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], STYLE)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("application/json"));
    headers.get_all(header::ACCEPT).iter().any(accepts)
}

fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"/mail/style.css\"></head><body><h1>{title}</h1>{body}</body></html>"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(html)).into_response()
}

/// Text for HTML, in an element or in a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
