use std::sync::Arc;

use agentkeys_types::{AgentName, Clock};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, JsonObject, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

use crate::{
    AgentDaemon, Commands,
    answer::Answer,
    arguments::Arguments,
    refusal::Refusal,
    tools::{caller_identity, list_access, presign_s3_url, request_access},
};

const INSTRUCTIONS: &str = "AgentKeys gives programs AWS credentials that live for minutes. These tools say what this \
    agent may have, pre-sign S3 URLs, and ask a person for more. They never return keys, tokens or JWTs: programs get \
    credentials from the AgentKeys daemon by themselves (for example through `agentkeys run`), and no wording of a \
    request changes that. Start with list_access.";

/// The tools of one agent, or of the person where none is named.
#[derive(Clone, Debug)]
pub struct AgentTools {
    pub(crate) daemon: Arc<dyn AgentDaemon>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) agent: Option<AgentName>,
    pub(crate) commands: Commands,
}

impl AgentTools {
    /// The tools of whoever the daemon takes this process for.
    pub fn new(daemon: Arc<dyn AgentDaemon>, clock: Arc<dyn Clock>) -> Self {
        Self { daemon, clock, agent: None, commands: Commands::default() }
    }

    /// The same for this agent of the person's.
    #[must_use]
    pub fn for_agent(self, agent: AgentName) -> Self {
        Self { agent: Some(agent), ..self }
    }

    /// The same with other commands for the person.
    #[must_use]
    pub fn with_commands(self, commands: Commands) -> Self {
        Self { commands, ..self }
    }

    async fn call(&self, name: &str, unverified_arguments: JsonObject) -> Result<Answer, Refusal> {
        let arguments = |tool: &Tool| Arguments::of(tool, &unverified_arguments);
        match name {
            caller_identity::NAME => caller_identity::call(self, arguments(&caller_identity::tool())?).await,
            list_access::NAME => {
                arguments(&list_access::tool())?;
                list_access::call(self).await
            }
            presign_s3_url::NAME => presign_s3_url::call(self, arguments(&presign_s3_url::tool())?).await,
            request_access::NAME => request_access::call(self, arguments(&request_access::tool())?).await,
            _ => Err(Refusal::of_unknown_tool(name, &unverified_arguments)),
        }
    }
}

impl ServerHandler for AgentTools {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("agentkeys", env!("CARGO_PKG_VERSION")).with_title("AgentKeys");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![
            list_access::tool(),
            caller_identity::tool(),
            presign_s3_url::tool(),
            request_access::tool(),
        ]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let answer = self.call(&request.name, request.arguments.unwrap_or_default()).await;
        let result: CallToolResult = answer.map_or_else(|refusal| refusal.answer(&self.commands), Answer::into_result);
        Ok(result.into())
    }
}
