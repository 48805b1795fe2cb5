use std::{iter, str::FromStr, time::Duration};

use agentkeys_api::DaemonCredentials;
use agentkeys_client::{ClientError, Region, ServerUrl};
use agentkeys_types::{Invalid, RoleName, Timestamp};
use rmcp::model::{Tool, ToolAnnotations};
use rusty_s3::{Bucket, UrlStyle, signing};
use secrecy::ExposeSecret;
use serde_json::json;
use url::Url;

use super::{describe, role_property};
use crate::{
    AgentTools,
    answer::Answer,
    arguments::Arguments,
    object::{BucketName, ContentType, ObjectKey},
    refusal::Refusal,
};

pub(crate) const NAME: &str = "presign_s3_url";

const DESCRIPTION: &str = "Pre-signs a URL that reads (GET) or writes (PUT) one S3 object for some minutes, with the \
    rights of a role. The URL contains an X-Amz-Security-Token and a signature: together they are a short-lived bearer \
    for this one object and method, so give the URL to nobody who should not have that, and do not store it. It ends \
    after expires_in_seconds, or with the credentials that signed it where that is earlier. Whether the role may do it \
    is decided by AWS when the URL is used. Where content_type is given, the PUT must send the headers of the answer.";

const LONGEST_LIFE: u64 = 3600;

pub(crate) fn tool() -> Tool {
    let properties = json!({
        "role": role_property(),
        "bucket": {
            "type": "string",
            "minLength": 3,
            "maxLength": 63,
            "pattern": "^[a-z0-9][a-z0-9.-]*[a-z0-9]$",
            "description": "The bucket, without s3:// and without a path."
        },
        "key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "description": "The key of the object, as it is (not percent-encoded): 1 to 1024 bytes of UTF-8, no \
                control characters, no part that is . or .."
        },
        "method": { "type": "string", "enum": ["GET", "PUT"], "description": "GET reads, PUT writes." },
        "expires_in_seconds": {
            "type": "integer",
            "minimum": 1,
            "maximum": LONGEST_LIFE,
            "default": 300,
            "description": "How long the URL is to live."
        },
        "content_type": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "description": "The media type of what is written, such as text/plain; only with PUT."
        }
    });
    // The call changes nothing, but what it gives can: a client should ask its person first.
    let annotations = ToolAnnotations::new().read_only(false).destructive(false).idempotent(false).open_world(true);
    describe(NAME, "Pre-sign an S3 URL", DESCRIPTION, properties, &["bucket", "key", "method"])
        .with_annotations(annotations)
}

pub(crate) async fn call(tools: &AgentTools, arguments: Arguments<'_>) -> Result<Answer, Refusal> {
    let wish = Wish::read(&arguments)?;
    let credentials = tools.daemon.credentials(&wish.role, tools.agent.as_ref()).await?;
    let now = tools.clock.now();
    let life = wish.life.min(credentials.expires_at.since(now));
    if life.is_zero() {
        return Err(Refusal::CredentialsEnd);
    }
    let url = wish.sign(&credentials, now, life)?;
    let (method, ends) = (wish.method.0, now.after(life));
    let mut structured = json!({
        "url": url.as_str(),
        "method": method.to_str(),
        "expires_at": ends,
        "expires_in_seconds": life.as_secs(),
    });
    let mut text = format!("{method} until {ends}, by whoever has this URL:\n{url}");
    if let Some(content_type) = &wish.content_type {
        structured["headers"] = json!({ "Content-Type": content_type.as_str() });
        text = format!("{text}\nwith the header Content-Type: {}", content_type.as_str());
    }
    Ok(Answer { text, structured })
}

/// What is to be signed.
struct Wish {
    role: RoleName,
    bucket: BucketName,
    key: ObjectKey,
    method: Method,
    life: Duration,
    content_type: Option<ContentType>,
}

impl Wish {
    fn read(arguments: &Arguments<'_>) -> Result<Self, Refusal> {
        let refused = |name: &str, reason| Err(Refusal::Argument { name: name.to_owned(), reason });
        let seconds = arguments.number("expires_in_seconds")?.unwrap_or(300);
        if !(1..=LONGEST_LIFE).contains(&seconds) {
            return refused("expires_in_seconds", "a URL lives for 1 to 3600 seconds");
        }
        let wish = Self {
            role: arguments.optional("role")?.unwrap_or_default(),
            bucket: arguments.required("bucket")?,
            key: arguments.required("key")?,
            method: arguments.required("method")?,
            life: Duration::from_secs(seconds),
            content_type: arguments.optional("content_type")?,
        };
        match (&wish.method, &wish.content_type) {
            (Method(rusty_s3::Method::Get), Some(_)) => {
                refused("content_type", "only what is written with PUT has one")
            }
            _ => Ok(wish),
        }
    }

    fn sign(&self, credentials: &DaemonCredentials, now: Timestamp, life: Duration) -> Result<Url, Refusal> {
        let unusable = |reason| ClientError::UnexpectedAnswer { url: "the daemon".to_owned(), reason };
        let region: Region = credentials.region.parse().map_err(|_| unusable("its region is none"))?;
        let (endpoint, style) = self.endpoint(credentials.endpoint_url.as_deref(), &region)?;
        let bucket = Bucket::new(endpoint, style, self.bucket.as_str().to_owned(), region.as_str().to_owned());
        let bucket = bucket.map_err(|_| unusable("its endpoint is none"))?;
        let date = jiff::Timestamp::from_second(now.as_unix()).map_err(|_| unusable("it is not now"))?;
        Ok(signing::sign(
            &date,
            self.method.0,
            bucket.object_url(self.key.as_str()),
            &credentials.access_key_id,
            credentials.secret_access_key.expose_secret(),
            Some(credentials.session_token.expose_secret()),
            region.as_str(),
            life.as_secs(),
            iter::empty(),
            self.content_type.iter().map(|content_type| ("content-type", content_type.as_str())),
        ))
    }

    /// Where the bucket is, and whether its name belongs into the path or the host.
    fn endpoint(&self, other: Option<&str>, region: &Region) -> Result<(Url, UrlStyle), ClientError> {
        let (text, style) = if let Some(other) = other {
            (other.parse::<ServerUrl>()?.to_string(), UrlStyle::Path)
        } else {
            let suffix = if region.as_str().starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            let style = if self.bucket.has_dots() { UrlStyle::Path } else { UrlStyle::VirtualHost };
            (format!("https://s3.{region}.{suffix}"), style)
        };
        let reason = "it is not of the form https://host";
        Ok((text.parse().map_err(|_| ClientError::InvalidUrl { url: text, reason })?, style))
    }
}

struct Method(rusty_s3::Method);

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "GET" => Ok(Self(rusty_s3::Method::Get)),
            "PUT" => Ok(Self(rusty_s3::Method::Put)),
            _ => Err(Invalid("it must be GET or PUT")),
        }
    }
}
