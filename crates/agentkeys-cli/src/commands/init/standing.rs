use agentkeys_api::{Devices, ErrorCode, LinkStatus, PinnedBy};
use agentkeys_client::{ClientError, Session};
use agentkeys_types::EvmAddress;

use crate::{
    commands::{
        devices::{Fingerprint, state},
        whoami::SignerKind,
    },
    context::Context,
    error::CliError,
    output::Output,
};

/// How it stands with an account at the signer of the settings.
pub(super) struct Standing {
    /// The account's wallet there, which is proved.
    pub(super) wallet: EvmAddress,
    /// The account's devices, where the signer pins them.
    pub(super) devices: Option<Devices>,
}

impl Standing {
    /// Has the signer see the device while its sign-in is fresh, which later would be nobody's, and proves the wallet
    /// that it derives, unless that is proved.
    ///
    /// A signer that is away does not matter where a wallet is proved, which then is the one before.
    pub(super) async fn of(context: &Context, session: &Session, output: &Output) -> Result<Self, CliError> {
        let links = context.broker().wallets(session).await?.links;
        let mut proved = links.iter().filter(|link| link.status == LinkStatus::Proved).map(|link| link.address);
        let Some(derived) = derived_wallet(context, session).await? else {
            let wallet = match proved.next() {
                Some(wallet) => wallet,
                None => prove_wallet(context, session, output).await?,
            };
            return Ok(Self { wallet, devices: None });
        };
        let wallet = match proved.find(|wallet| *wallet == derived) {
            Some(wallet) => wallet,
            None => prove_wallet(context, session, output).await?,
        };
        // Only to be shown: whoever may not see them has been refused before.
        let devices = context.signer()?.devices(session).await.ok();
        Ok(Self { wallet, devices })
    }

    /// Shows the own key, how it was pinned, and who else has the account.
    pub(super) fn show_devices(&self, context: &Context, output: &Output) {
        let Some(Devices { devices, .. }) = &self.devices else { return };
        let mut was_first = true;
        for own in devices.iter().filter(|device| device.is_this) {
            output.note(format_args!("  Device   {} ({})", Fingerprint(own.key), state(own)));
            was_first = own.pinned_by == Some(PinnedBy::FirstUse);
        }
        let others: Vec<_> = devices.iter().filter(|device| !device.is_this).collect();
        for other in &others {
            output.note(format_args!("  Another  {} ({})", Fingerprint(other.key), state(other)));
        }
        let command = context.command();
        if !others.is_empty() {
            output.note(format_args!(
                "Compare them with your other devices: `{command} devices list`; one that is not yours: `{command} devices \
                 remove KEY`"
            ));
        } else if !was_first {
            output.note(format_args!(
                "Another device had the account before this one: `{command} devices list` shows those that are left"
            ));
        }
    }
}

/// The account's wallet at the signer; nothing, where that is away.
async fn derived_wallet(context: &Context, session: &Session) -> Result<Option<EvmAddress>, CliError> {
    let derived = match context.signer() {
        Ok(signer) => signer.derive_address(session, session.omni_account).await,
        Err(error) => Err(error),
    };
    match derived {
        Ok(wallet) => Ok(Some(wallet)),
        Err(error) if is_refusal(&error) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Whether the signer does not want this device, or is not the one that the policy wants.
fn is_refusal(error: &ClientError) -> bool {
    match error {
        ClientError::AttestationInvalid { .. } => true,
        ClientError::Problem { problem, .. } => problem.error.as_str().starts_with("device_"),
        _ => false,
    }
}

async fn prove_wallet(context: &Context, session: &Session, output: &Output) -> Result<EvmAddress, CliError> {
    let flow = context.flow()?;
    let wallet = flow.connect_wallet(session, &mut ()).await?;
    let (signer, _) = SignerKind::of(context).await;
    output.done(format_args!("Wallet {wallet} (eip155:1; signer: {})", signer.in_words()));
    let proof = flow.prove_wallet(session, wallet, &mut ()).await;
    proof.map_err(|error| match error {
        // Not this session's fault: the wallet proved itself for another account before.
        ClientError::Problem { problem, .. } if problem.error == ErrorCode::WalletTaken => {
            CliError::SignedInAsOther("another account of the same wallet".to_owned())
        }
        error => error.into(),
    })?;
    Ok(wallet)
}
