/// What a person types where a tool cannot go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// The command, for the profile that is served.
    pub agentkeys: String,
    /// What starts the daemon.
    pub daemon: String,
    /// What signs the person in.
    pub sign_in: String,
}

impl Default for Commands {
    /// Those of the default profile.
    fn default() -> Self {
        Self {
            agentkeys: "agentkeys".to_owned(),
            daemon: "agentkeys daemon run".to_owned(),
            sign_in: "agentkeys init".to_owned(),
        }
    }
}
