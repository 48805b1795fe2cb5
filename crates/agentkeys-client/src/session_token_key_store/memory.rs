use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{SessionTokenKeyStore, StorageError};
use crate::{ProfileName, Session};

/// Keeps sessions in this process only: they are gone when it ends.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<ProfileName, Session>>);

#[async_trait]
impl SessionTokenKeyStore for MemoryStore {
    async fn check(&self) -> Result<(), StorageError> {
        Ok(())
    }

    async fn load(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(profile).cloned())
    }

    async fn save(&self, profile: &ProfileName, session: &Session) -> Result<(), StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(profile.clone(), session.clone());
        Ok(())
    }

    async fn delete(&self, profile: &ProfileName) -> Result<(), StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(profile);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory of this process only"
    }
}
