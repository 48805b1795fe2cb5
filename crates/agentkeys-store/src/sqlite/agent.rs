use agentkeys_types::{AgentName, OmniAccount, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    columns::Columns,
    limit,
    writer::{Change, Transaction},
};
use crate::{Agent, AgentRecorded, AgentStore, Entry, Granting, Limit, StoreError};

#[async_trait]
impl AgentStore for SqliteStore {
    async fn grant_agent(&self, agent: Agent, most: u32, entry: Entry) -> Result<Granting, StoreError> {
        self.writer.write(move |transaction| Ok(Change::Keep(grant(transaction, &agent, most, &entry)?))).await
    }

    async fn agents(&self, account: OmniAccount) -> Result<Vec<Agent>, StoreError> {
        self.readers.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT account, name, audiences, created_at, expires_at FROM agents \
                     WHERE account = ?1 ORDER BY name",
                )?
                .query_map([account.as_bytes()], agent)?
                .collect()
        })
    }

    async fn revoke_agent(&self, account: OmniAccount, name: AgentName, entry: Entry) -> Result<bool, StoreError> {
        self.writer
            .write(move |transaction| {
                let revoked = transaction
                    .connection
                    .prepare_cached("DELETE FROM agents WHERE account = ?1 AND name = ?2")?
                    .execute(params![account.as_bytes(), name.as_str()])?;
                if revoked == 1 {
                    transaction.record(&entry)?;
                }
                Ok(Change::Keep(revoked == 1))
            })
            .await
    }

    async fn append_for_agent(
        &self,
        account: OmniAccount,
        name: AgentName,
        audience: String,
        entry: Entry,
        limits: Vec<Limit>,
    ) -> Result<AgentRecorded, StoreError> {
        self.writer
            .write(move |transaction| {
                let connection = transaction.connection;
                let agent = find(connection, account, &name)?.filter(|agent| !agent.is_over(entry.at));
                let Some(agent) = agent else { return Ok(Change::Keep(AgentRecorded::Unknown)) };
                if !agent.audiences.contains(&audience) {
                    return Ok(Change::Keep(AgentRecorded::NotAllowed));
                }
                if let Some(retry_after) = limit::count(connection, &limits, entry.at)? {
                    return Ok(Change::Undo(AgentRecorded::Limited { retry_after }));
                }
                transaction.record(&entry)?;
                Ok(Change::Keep(AgentRecorded::Recorded { expires_at: agent.expires_at }))
            })
            .await
    }
}

impl Agent {
    fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    fn joined_audiences(&self) -> String {
        self.audiences.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

fn grant(transaction: &mut Transaction<'_>, agent: &Agent, most: u32, entry: &Entry) -> rusqlite::Result<Granting> {
    if change(transaction.connection, agent)? {
        transaction.record(entry)?;
        let changed = find(transaction.connection, agent.account, &agent.name)?;
        return changed.ok_or(rusqlite::Error::QueryReturnedNoRows).map(Granting::Changed);
    }
    if create(transaction.connection, agent, most)? {
        transaction.record(entry)?;
        return Ok(Granting::Created(agent.clone()));
    }
    let unchanged = find(transaction.connection, agent.account, &agent.name)?;
    Ok(unchanged.map_or(Granting::TooMany, Granting::Unchanged))
}

/// Gives an agent that exists what it does not have yet, or takes what it is not to have.
fn change(connection: &Connection, agent: &Agent) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE agents SET audiences = ?3, expires_at = ?4 \
             WHERE account = ?1 AND name = ?2 AND (audiences <> ?3 OR expires_at IS NOT ?4)",
        )?
        .execute(params![
            agent.account.as_bytes(),
            agent.name.as_str(),
            agent.joined_audiences(),
            agent.expires_at.map(Timestamp::as_unix),
        ])?;
    Ok(changed == 1)
}

/// Makes an agent, unless there is one of that name or the account has `most`.
fn create(connection: &Connection, agent: &Agent, most: u32) -> rusqlite::Result<bool> {
    let created = connection
        .prepare_cached(
            "INSERT INTO agents (account, name, audiences, created_at, expires_at) \
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT COUNT(*) FROM agents WHERE account = ?1) < ?6 \
             ON CONFLICT (account, name) DO NOTHING",
        )?
        .execute(params![
            agent.account.as_bytes(),
            agent.name.as_str(),
            agent.joined_audiences(),
            agent.created_at.as_unix(),
            agent.expires_at.map(Timestamp::as_unix),
            most,
        ])?;
    Ok(created == 1)
}

fn find(connection: &Connection, account: OmniAccount, name: &AgentName) -> rusqlite::Result<Option<Agent>> {
    connection
        .prepare_cached(
            "SELECT account, name, audiences, created_at, expires_at FROM agents WHERE account = ?1 AND name = ?2",
        )?
        .query_row(params![account.as_bytes(), name.as_str()], agent)
        .optional()
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        account: row.account(0)?,
        name: row.parsed(1)?,
        audiences: row.get_ref(2)?.as_str()?.split(' ').map(str::to_owned).collect(),
        created_at: row.time(3)?,
        expires_at: row.time_or_null(4)?,
    })
}
