use std::{path::PathBuf, sync::Arc};

use agentkeys_types::Clock;
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    access::{S3Access, S3AccessContext},
    auth::Credentials,
    dto::{
        AbortMultipartUploadInput, CompleteMultipartUploadInput, CopyObjectInput, CopySource,
        CreateMultipartUploadInput, DeleteObjectInput, DeleteObjectsInput, EncodingType, GetObjectInput,
        HeadObjectInput, ListObjectsInput, ListObjectsV2Input, PutObjectInput, UploadPartCopyInput, UploadPartInput,
    },
    path::S3Path,
};

use super::{
    key::{OwnPrefix, access_denied},
    signature::unknown_key,
};
use crate::aws::{
    role_session::{Refusal, RoleSessions},
    session_token,
};

/// What a session may do with keys of its own. What is not listed is denied.
const OBJECT_OPERATIONS: [&str; 11] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteObject",
    "GetObject",
    "HeadObject",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
];

/// What a session may do with the bucket, for keys of its own.
const BUCKET_OPERATIONS: [&str; 3] = ["DeleteObjects", "ListObjects", "ListObjectsV2"];

/// The policy of the one role: everything below `bots/${aws:PrincipalTag/agentkeys_user_wallet}/`, nothing else.
pub(super) struct Access {
    sessions: Arc<RoleSessions>,
    clock: Arc<dyn Clock>,
    bucket: String,
    folder: PathBuf,
}

impl Access {
    pub(super) fn new(sessions: Arc<RoleSessions>, clock: Arc<dyn Clock>, bucket: &str, folder: PathBuf) -> Self {
        Self { sessions, clock, bucket: bucket.to_owned(), folder }
    }

    fn check_source(&self, own: &OwnPrefix, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } if **bucket == *self.bucket => {
                own.check(key)?;
                self.check_found(key)
            }
            _ => Err(access_denied()),
        }
    }

    /// A folder of the file system is no object.
    fn check_found(&self, key: &str) -> S3Result<()> {
        if self.folder.join(key).is_dir() {
            return Err(S3Error::with_message(S3ErrorCode::NoSuchKey, "The specified key does not exist."));
        }
        Ok(())
    }

    /// A file of the file system cannot be a folder as well.
    fn check_free(&self, key: &str) -> S3Result<()> {
        let path = self.folder.join(key);
        let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder));
        if (path.is_dir() && !key.ends_with('/')) || above.into_iter().any(std::path::Path::is_file) {
            let message = "Keys are files here: a key cannot be an object and a folder of objects.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
        Ok(())
    }
}

fn own<T>(request: &S3Request<T>) -> S3Result<OwnPrefix> {
    request.extensions.get::<OwnPrefix>().cloned().ok_or_else(access_denied)
}

/// Lets an upload that was begun with one set of credentials go on with the next set for the same wallet.
fn upload_as_wallet<T>(request: &mut S3Request<T>) -> S3Result<()> {
    let wallet = own(request)?.wallet().to_owned();
    let signer = request.credentials.take().ok_or_else(access_denied)?;
    request.credentials = Some(Credentials { access_key: wallet, secret_key: signer.secret_key });
    Ok(())
}

/// Asks of the store what it can: it finds only one delimiter rightly, and says that it encodes keys but does not.
fn check_listing(
    own: &OwnPrefix,
    prefix: Option<&str>,
    delimiter: &mut Option<String>,
    encoding_type: &mut Option<EncodingType>,
) -> S3Result<()> {
    own.check_listing(prefix)?;
    *encoding_type = None;
    match delimiter.as_deref() {
        None | Some("/") => {}
        Some("") => *delimiter = None,
        Some(_) => {
            return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "The only delimiter here is `/`."));
        }
    }
    Ok(())
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let access_key_id = &context.credentials().ok_or_else(access_denied)?.access_key;
        let unverified_token = session_token::of(context.uri(), context.headers());
        let session =
            self.sessions.verify(access_key_id, unverified_token.as_deref(), self.clock.now()).map_err(refused)?;
        let own = OwnPrefix::of(&session.tags, &self.bucket).ok_or_else(access_denied)?;
        let operation = context.s3_op().name();
        match context.s3_path() {
            S3Path::Object { bucket, key } if OBJECT_OPERATIONS.contains(&operation) && **bucket == *self.bucket => {
                own.check(key)?;
            }
            S3Path::Bucket { bucket } if BUCKET_OPERATIONS.contains(&operation) && **bucket == *self.bucket => {}
            _ => return Err(access_denied()),
        }
        context.extensions_mut().insert(own);
        Ok(())
    }

    async fn abort_multipart_upload(&self, request: &mut S3Request<AbortMultipartUploadInput>) -> S3Result<()> {
        upload_as_wallet(request)
    }

    async fn complete_multipart_upload(&self, request: &mut S3Request<CompleteMultipartUploadInput>) -> S3Result<()> {
        self.check_free(&request.input.key)?;
        upload_as_wallet(request)
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        self.check_source(&own(request)?, &request.input.copy_source)?;
        self.check_free(&request.input.key)
    }

    async fn create_multipart_upload(&self, request: &mut S3Request<CreateMultipartUploadInput>) -> S3Result<()> {
        self.check_free(&request.input.key)?;
        upload_as_wallet(request)
    }

    async fn delete_object(&self, request: &mut S3Request<DeleteObjectInput>) -> S3Result<()> {
        if request.input.key.ends_with('/') { Ok(()) } else { self.check_found(&request.input.key) }
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let own = own(request)?;
        request.input.delete.objects.iter().try_for_each(|object| own.check(&object.key))
    }

    async fn get_object(&self, request: &mut S3Request<GetObjectInput>) -> S3Result<()> {
        self.check_found(&request.input.key)
    }

    async fn head_object(&self, request: &mut S3Request<HeadObjectInput>) -> S3Result<()> {
        self.check_found(&request.input.key)
    }

    async fn list_objects(&self, request: &mut S3Request<ListObjectsInput>) -> S3Result<()> {
        let own = own(request)?;
        let input = &mut request.input;
        check_listing(&own, input.prefix.as_deref(), &mut input.delimiter, &mut input.encoding_type)
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let own = own(request)?;
        let input = &mut request.input;
        check_listing(&own, input.prefix.as_deref(), &mut input.delimiter, &mut input.encoding_type)
    }

    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        self.check_free(&request.input.key)
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        upload_as_wallet(request)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.check_source(&own(request)?, &request.input.copy_source)?;
        upload_as_wallet(request)
    }
}

fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::Expired => S3Error::with_message(S3ErrorCode::ExpiredToken, "The provided token has expired."),
        Refusal::Unknown => unknown_key(),
        Refusal::WrongToken => {
            S3Error::with_message(S3ErrorCode::InvalidToken, "The provided token is malformed or otherwise invalid.")
        }
    }
}
