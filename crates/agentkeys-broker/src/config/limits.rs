use serde::Deserialize;

/// How often things may happen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sign-in mails to one address in an hour.
    pub mails_per_address_and_hour: u32,
    /// Sign-in mails asked for from one network address in an hour.
    pub mails_per_source_and_hour: u32,
    /// Sign-in mails in an hour, all together.
    pub mails_per_hour: u32,
    /// Codes typed from one network address in an hour, right or wrong.
    pub codes_per_source_and_hour: u32,
    /// Codes typed in an hour, all together.
    pub codes_per_hour: u32,
    /// Sign-ins in a browser and on a device begun from one network address in an hour.
    pub sign_ins_per_source_and_hour: u32,
    /// Sign-ins in a browser and on a device begun in an hour, all together.
    pub sign_ins_per_hour: u32,
    /// Identities that one account asks to link in an hour.
    pub links_per_account_and_hour: u32,
    /// Agents that one account may have.
    pub agents_per_account: u32,
    /// Web-identity JWTs of one account in a minute.
    pub mints_per_account_and_minute: u32,
}

impl Limits {
    pub(super) fn any_zero(self) -> bool {
        let all = [
            self.mails_per_address_and_hour,
            self.mails_per_source_and_hour,
            self.mails_per_hour,
            self.codes_per_source_and_hour,
            self.codes_per_hour,
            self.sign_ins_per_source_and_hour,
            self.sign_ins_per_hour,
            self.links_per_account_and_hour,
            self.agents_per_account,
            self.mints_per_account_and_minute,
        ];
        all.contains(&0)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mails_per_address_and_hour: 5,
            mails_per_source_and_hour: 20,
            mails_per_hour: 1000,
            codes_per_source_and_hour: 100,
            codes_per_hour: 10_000,
            sign_ins_per_source_and_hour: 60,
            sign_ins_per_hour: 5000,
            links_per_account_and_hour: 10,
            agents_per_account: 100,
            mints_per_account_and_minute: 600,
        }
    }
}
