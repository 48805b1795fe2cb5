//! From TOML to a policy: whatever is unknown, empty or open is refused, by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Accept, AcceptAzureVtpm, AcceptNitro, AcceptSevSnp, AcceptTdx, AcceptTpm2, AzureHardware, NitroRoot, PcrValues,
    Policy, PolicyError, Release, SnpTcb, TcbStatus, TpmAnchor,
};
use crate::{certificate::Certificate, nitro};

const DEFAULT_REATTEST_SECONDS: u64 = 600;
const MAX_REATTEST_SECONDS: u64 = 86_400;

/// The registers without which another program could pass, and why.
const INDISPENSABLE: [(u8, &str); 3] = [
    (4, "which the firmware alone extends: without it, another system could set all the others itself"),
    (11, "which the boot stub extends with the parts of the image"),
    (12, "or another kernel command line would pass"),
];
/// Registers of a TPM that software may set back.
const RESETTABLE: [u8; 2] = [16, 23];

type Hexes = Vec<String>;
type HexMap = BTreeMap<String, Hexes>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: u64,
    min_release: String,
    #[serde(default)]
    allow_dev: bool,
    #[serde(default)]
    allow_any_message: bool,
    freshness: Option<RawFreshness>,
    log: Option<RawLog>,
    identity: Option<RawIdentity>,
    revoked: Option<Hexes>,
    accept: Option<Vec<toml::Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFreshness {
    reattest_seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    #[serde(rename = "pub")]
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTpm2 {
    release: String,
    bank: String,
    pcr: HexMap,
    anchor: RawTpmAnchor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTpmAnchor {
    ek_ca_sha256: Option<Hexes>,
    ek_ca: Option<String>,
    ek_pub_sha256: Option<Hexes>,
    ak_name: Option<Hexes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAzureVtpm {
    release: String,
    bank: String,
    pcr: HexMap,
    sev_snp: Option<RawSevSnp>,
    tdx: Option<RawTdx>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSevSnp {
    release: Option<String>,
    measurement: Hexes,
    min_tcb: RawSnpTcb,
    #[serde(default)]
    debug: bool,
    chip_id: Option<Hexes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSnpTcb {
    #[serde(default)]
    fmc: u8,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTdx {
    release: Option<String>,
    mr_td: Hexes,
    rtmr: Option<HexMap>,
    tcb_status: Option<Vec<TcbStatus>>,
    #[serde(default)]
    debug: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNitro {
    release: String,
    pcr: HexMap,
    anchor: RawNitroAnchor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNitroAnchor {
    root: Option<String>,
    test_root: Option<String>,
}

pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    let raw: RawPolicy = toml::from_str(text).map_err(|error| PolicyError::Syntax(error.message().to_owned()))?;
    let reattest = raw.freshness.map_or(DEFAULT_REATTEST_SECONDS, |freshness| freshness.reattest_seconds);
    if !(1..=MAX_REATTEST_SECONDS).contains(&reattest) {
        return Err(PolicyError::invalid("freshness.reattest_seconds", "must be 1 to 86400"));
    }
    let accept = match raw.accept {
        None if raw.allow_dev => Vec::new(),
        None => return Err(PolicyError::invalid("accept", "is missing, so nothing would be accepted")),
        Some(entries) if entries.is_empty() => return Err(PolicyError::invalid("accept", "must not be empty")),
        Some(entries) => {
            let entries = entries.into_iter().enumerate();
            entries
                .map(|(n, entry)| accept(&Path(format!("accept[{n}]")), entry, raw.allow_dev))
                .collect::<Result<_, _>>()?
        }
    };
    Ok(Policy {
        version: raw.version,
        min_release: release(&Path("min_release".to_owned()), &raw.min_release)?,
        allow_dev: raw.allow_dev,
        allow_any_message: raw.allow_any_message,
        reattest: Duration::from_secs(reattest),
        log_origin: raw.log.map(|log| origin(log.origin)).transpose()?,
        identity_pub: raw.identity.map(|identity| identity_pub(&identity.key)).transpose()?,
        revoked: revoked(raw.revoked.as_deref(), &accept)?,
        accept,
    })
}

/// Where in the file something is.
struct Path(String);

impl Path {
    fn at(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    fn invalid(&self, reason: impl Into<String>) -> PolicyError {
        PolicyError::invalid(self.0.clone(), reason)
    }

    fn hex<const N: usize>(&self, text: &str) -> Result<[u8; N], PolicyError> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| self.invalid(format!("must be {} hex digits", 2 * N)))?;
        Ok(bytes)
    }

    fn hexes<const N: usize>(&self, list: &[String]) -> Result<BTreeSet<[u8; N]>, PolicyError> {
        if list.is_empty() {
            return Err(self.invalid("must not be empty"));
        }
        self.hexes_or_none(list)
    }

    fn hexes_or_none<const N: usize>(&self, list: &[String]) -> Result<BTreeSet<[u8; N]>, PolicyError> {
        list.iter().map(|text| self.hex(text)).collect()
    }

    fn registers<const N: usize>(&self, map: &HexMap, highest: u8) -> Result<PcrValues<N>, PolicyError> {
        if map.is_empty() {
            return Err(self.invalid("must not be empty"));
        }
        let register = |(name, values): (&String, &Hexes)| {
            let here = self.at(name);
            let number = name.parse::<u8>().ok().filter(|number| number.to_string() == *name && *number <= highest);
            let number = number.ok_or_else(|| here.invalid(format!("must be a register, 0 to {highest}")))?;
            Ok((number, here.hexes(values)?))
        };
        map.iter().map(register).collect()
    }

    /// The registers of a TPM, among them those without which another program could pass.
    fn boot_registers(&self, bank: &str, map: &HexMap) -> Result<PcrValues<32>, PolicyError> {
        if bank != "sha256" {
            return Err(PolicyError::invalid(self.0.replace(".pcr", ".bank"), "must be \"sha256\""));
        }
        let registers = self.registers::<32>(map, 23)?;
        if let Some(number) = RESETTABLE.iter().find(|number| registers.contains_key(number)) {
            return Err(self.at(&number.to_string()).invalid("can be set back by software, and so tells nothing"));
        }
        match INDISPENSABLE.iter().find(|(number, _)| !registers.contains_key(number)) {
            Some((number, why)) => Err(self.invalid(format!("must pin register {number}, {why}"))),
            None => Ok(registers),
        }
    }
}

/// The one list that may be empty: that nothing is revoked is a decision, and it must be spelt out.
fn revoked(list: Option<&[String]>, accept: &[Accept]) -> Result<BTreeSet<[u8; 32]>, PolicyError> {
    let path = Path("revoked".to_owned());
    match (list, accept.iter().find(|entry| entry.has_no_list_of_its_maker())) {
        (Some(list), _) => path.hexes_or_none(list),
        (None, None) => Ok(BTreeSet::new()),
        (None, Some(_)) => {
            Err(path
                .invalid("is missing: list the revoked certificates, or decide that there are none: `revoked = []`"))
        }
    }
}

fn accept(path: &Path, mut entry: toml::Table, allow_dev: bool) -> Result<Accept, PolicyError> {
    let backend = entry.remove("backend").and_then(|name| name.as_str().map(str::to_owned));
    match backend.as_deref() {
        Some("tpm2") => tpm2(path, read(path, entry)?).map(Accept::Tpm2),
        Some("azure-vtpm") => azure_vtpm(path, read(path, entry)?, allow_dev).map(Accept::AzureVtpm),
        Some("sev-snp") => {
            let raw: RawSevSnp = read(path, entry)?;
            let release = own_release(path, raw.release.as_deref())?;
            sev_snp(path, &raw, release, allow_dev).map(Accept::SevSnp)
        }
        Some("tdx") => {
            let raw: RawTdx = read(path, entry)?;
            let release = own_release(path, raw.release.as_deref())?;
            if raw.rtmr.is_none() {
                return Err(path.at("rtmr").invalid("is missing, so any kernel would pass"));
            }
            tdx(path, raw, release, allow_dev).map(Accept::Tdx)
        }
        Some("nitro") => nitro(path, &read(path, entry)?, allow_dev).map(Accept::Nitro),
        _ => {
            let known = "must be \"tpm2\", \"azure-vtpm\", \"sev-snp\", \"tdx\" or \"nitro\"";
            Err(path.at("backend").invalid(known))
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path, entry: toml::Table) -> Result<T, PolicyError> {
    entry.try_into().map_err(|error: toml::de::Error| path.invalid(error.message()))
}

fn release(path: &Path, text: &str) -> Result<Release, PolicyError> {
    text.parse().map_err(|error: agentkeys_types::Invalid| path.invalid(format!("cannot be read: {error}")))
}

fn own_release(path: &Path, text: Option<&str>) -> Result<Release, PolicyError> {
    let path = path.at("release");
    release(&path, text.ok_or_else(|| path.invalid("is missing"))?)
}

fn origin(origin: String) -> Result<String, PolicyError> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '+';
    if origin.is_empty() || !origin.chars().all(is_plain) {
        return Err(PolicyError::invalid("log.origin", "must be a name without spaces and without `+`"));
    }
    Ok(origin)
}

fn identity_pub(key: &str) -> Result<[u8; 33], PolicyError> {
    let path = Path("identity.pub".to_owned());
    let key: [u8; 33] = path.hex(key)?;
    if matches!(key[0], 2 | 3) { Ok(key) } else { Err(path.invalid("must be a compressed secp256k1 key")) }
}

fn certificates(path: &Path, text: &str) -> Result<Vec<Vec<u8>>, PolicyError> {
    let wrong = || path.invalid("must be certificates in PEM");
    let blocks = pem::parse_many(text).map_err(|_| wrong())?;
    if blocks.is_empty() {
        return Err(wrong());
    }
    let certificate = |block: &pem::Pem| {
        let is_certificate = block.tag() == "CERTIFICATE" && Certificate::parse(block.contents()).is_ok();
        if is_certificate { Ok(block.contents().to_vec()) } else { Err(wrong()) }
    };
    blocks.iter().map(certificate).collect()
}

fn tpm2(path: &Path, raw: RawTpm2) -> Result<AcceptTpm2, PolicyError> {
    let at = path.at("anchor");
    let set = |name: &str, list: Option<Hexes>| {
        list.map(|list| at.at(name).hexes::<32>(&list)).transpose().map(Option::unwrap_or_default)
    };
    let names = raw.anchor.ak_name.map(|list| at.at("ak_name").hexes::<34>(&list)).transpose()?.unwrap_or_default();
    let anchor = TpmAnchor {
        ek_ca_sha256: set("ek_ca_sha256", raw.anchor.ek_ca_sha256)?,
        ek_ca: raw.anchor.ek_ca.map(|text| certificates(&at.at("ek_ca"), &text)).transpose()?.unwrap_or_default(),
        ek_pub_sha256: set("ek_pub_sha256", raw.anchor.ek_pub_sha256)?,
        ak_name: names.into_iter().map(Vec::from).collect(),
    };
    if anchor == TpmAnchor::default() {
        return Err(at.invalid("must name who vouches: `ek_ca_sha256`, `ek_ca`, `ek_pub_sha256` or `ak_name`"));
    }
    Ok(AcceptTpm2 {
        release: release(&path.at("release"), &raw.release)?,
        pcr: path.at("pcr").boot_registers(&raw.bank, &raw.pcr)?,
        anchor,
    })
}

fn azure_vtpm(path: &Path, raw: RawAzureVtpm, allow_dev: bool) -> Result<AcceptAzureVtpm, PolicyError> {
    let release = release(&path.at("release"), &raw.release)?;
    let of_its_own = raw.sev_snp.as_ref().and_then(|snp| snp.release.as_ref());
    if of_its_own.or(raw.tdx.as_ref().and_then(|tdx| tdx.release.as_ref())).is_some() {
        return Err(path.invalid("must give `release` once"));
    }
    let hardware = match (raw.sev_snp, raw.tdx) {
        (Some(snp), None) => AzureHardware::SevSnp(sev_snp(&path.at("sev_snp"), &snp, release, allow_dev)?),
        (None, Some(raw)) => AzureHardware::Tdx(tdx(&path.at("tdx"), raw, release, allow_dev)?),
        _ => return Err(path.invalid("must have one of `sev_snp` and `tdx`")),
    };
    Ok(AcceptAzureVtpm { release, pcr: path.at("pcr").boot_registers(&raw.bank, &raw.pcr)?, hardware })
}

fn sev_snp(path: &Path, raw: &RawSevSnp, release: Release, allow_dev: bool) -> Result<AcceptSevSnp, PolicyError> {
    refuse_debug(path, raw.debug, allow_dev)?;
    let RawSnpTcb { fmc, bootloader, tee, snp, microcode } = raw.min_tcb;
    Ok(AcceptSevSnp {
        release,
        measurement: path.at("measurement").hexes(&raw.measurement)?,
        min_tcb: SnpTcb { fmc, bootloader, tee, snp, microcode },
        debug: raw.debug,
        chip_id: raw.chip_id.as_ref().map(|list| path.at("chip_id").hexes(list)).transpose()?,
    })
}

fn tdx(path: &Path, raw: RawTdx, release: Release, allow_dev: bool) -> Result<AcceptTdx, PolicyError> {
    refuse_debug(path, raw.debug, allow_dev)?;
    let tcb_status: BTreeSet<_> = raw.tcb_status.unwrap_or_else(|| vec![TcbStatus::UpToDate]).into_iter().collect();
    if tcb_status.is_empty() {
        return Err(path.at("tcb_status").invalid("must not be empty"));
    }
    Ok(AcceptTdx {
        release,
        mr_td: path.at("mr_td").hexes(&raw.mr_td)?,
        rtmr: raw.rtmr.map(|map| path.at("rtmr").registers(&map, 3)).transpose()?.unwrap_or_default(),
        tcb_status,
        debug: raw.debug,
    })
}

fn refuse_debug(path: &Path, debug: bool, allow_dev: bool) -> Result<(), PolicyError> {
    if debug && !allow_dev {
        return Err(path.at("debug").invalid("may be true only where `allow_dev` is"));
    }
    Ok(())
}

fn nitro(path: &Path, raw: &RawNitro, allow_dev: bool) -> Result<AcceptNitro, PolicyError> {
    let at = path.at("anchor");
    let root = match (&raw.anchor.root, &raw.anchor.test_root) {
        (Some(name), None) if name == "aws-nitro-g1" => NitroRoot::AwsG1,
        (None, Some(_)) if !allow_dev => {
            return Err(at.at("test_root").invalid("may be given only where `allow_dev` is true"));
        }
        (None, Some(text)) => match <[Vec<u8>; 1]>::try_from(certificates(&at.at("test_root"), text)?) {
            Ok([der]) if nitro::is_aws_root(&der) => {
                return Err(at.at("test_root").invalid("is AWS's own root: say `root = \"aws-nitro-g1\"`"));
            }
            Ok([der]) => NitroRoot::Test(der),
            Err(_) => return Err(at.at("test_root").invalid("must be one certificate")),
        },
        _ => return Err(at.invalid("must have `root = \"aws-nitro-g1\"`")),
    };
    let pcr = path.at("pcr").registers::<48>(&raw.pcr, 31)?;
    if !pcr.contains_key(&0) {
        return Err(path.at("pcr").invalid("must pin register 0, which measures the image"));
    }
    Ok(AcceptNitro { release: release(&path.at("release"), &raw.release)?, pcr, root })
}
