use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Edit, Made};
use crate::error::CliError;

/// What was changed in which files, kept until it is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Record(BTreeMap<PathBuf, Changed>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    /// Whether the file was not there before.
    created: bool,
    made: Vec<Made>,
}

/// A file as it is and as it is to be.
#[derive(Debug)]
pub(crate) struct Edited {
    path: PathBuf,
    before: Option<String>,
    after: Option<String>,
    changed: Option<Changed>,
    /// Whether somebody has changed what is to be taken back, so that it stays.
    is_left: bool,
}

impl Record {
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let Some(text) = read_text(path)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|source| cannot("read", path, source.into()))
    }

    /// The files that were changed.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }

    /// What makes `edits` be in a file, instead of those that were made there before.
    pub(crate) fn plan(&self, path: &Path, edits: &[Edit]) -> Result<Edited, CliError> {
        let malformed = |source| CliError::Edit { path: path.to_owned(), source };
        let before = read_text(path)?;
        let own = self.0.get(path);
        let start = before.clone().unwrap_or_default();
        if edits.iter().try_fold(true, |all, edit| Ok(all && edit.is_in(&start)?)).map_err(malformed)? {
            let after = before.clone();
            return Ok(Edited { path: path.to_owned(), before, after, changed: own.cloned(), is_left: false });
        }
        let (mut text, _) =
            own.map_or_else(|| Ok((start.clone(), false)), |own| own.take_back(&start)).map_err(malformed)?;
        let mut made = Vec::new();
        for edit in edits {
            if let Some((after, one)) = edit.make(&text).map_err(malformed)? {
                text = after;
                made.push(one);
            }
        }
        let created = before.is_none() || own.is_some_and(|own| own.created);
        let changed = Some(Changed { created, made });
        Ok(Edited { path: path.to_owned(), before, after: Some(text), changed, is_left: false })
    }

    /// What takes back all that was made in a file.
    pub(crate) fn plan_undo(&self, path: &Path) -> Result<Edited, CliError> {
        let malformed = |source| CliError::Edit { path: path.to_owned(), source };
        let before = read_text(path)?;
        let nothing = |before: Option<String>| Edited {
            path: path.to_owned(),
            after: before.clone(),
            before,
            changed: None,
            is_left: false,
        };
        let (Some(text), Some(own)) = (before.clone(), self.0.get(path)) else { return Ok(nothing(before)) };
        let (after, is_left) = own.take_back(&text).map_err(malformed)?;
        let is_empty = matches!(after.trim(), "" | "{}");
        let after = Some(after).filter(|_| !(own.created && is_empty));
        Ok(Edited { after, is_left, ..nothing(before) })
    }

    /// Keeps what is about to be made, so that it can be taken back whatever happens next.
    pub(crate) fn keep(&mut self, edited: &[Edited], at: &Path) -> Result<(), CliError> {
        for Edited { path, changed, .. } in edited {
            match changed {
                Some(changed) => self.0.insert(path.clone(), changed.clone()),
                None => self.0.remove(path),
            };
        }
        if self.0.is_empty() {
            return match fs::remove_file(at) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", at, error)),
                _ => Ok(()),
            };
        }
        let text = serde_json::to_string_pretty(self).map_err(|error| cannot("write", at, error.into()))?;
        write_text(at, &text)
    }
}

impl Changed {
    /// The text without what was made, and whether something stays because it is not what was made any more.
    fn take_back(&self, text: &str) -> Result<(String, bool), super::EditError> {
        let (mut text, mut is_left) = (text.to_owned(), false);
        for made in self.made.iter().rev() {
            match made.take_back(&text)? {
                Some(without) => text = without,
                None => is_left = true,
            }
        }
        Ok((text, is_left))
    }
}

impl Edited {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything is to be done.
    pub(crate) fn changes(&self) -> bool {
        self.before != self.after
    }

    pub(crate) fn is_left(&self) -> bool {
        self.is_left
    }

    pub(crate) fn show(&self, output: &crate::output::Output) {
        super::print(output, &self.path, self.before.as_deref(), self.after.as_deref());
    }

    /// Does it, unless the file has changed since it was looked at.
    pub(crate) fn write(&self) -> Result<(), CliError> {
        if !self.changes() {
            return Ok(());
        }
        if read_text(&self.path)? != self.before {
            let changed = io::Error::other("it was changed in this moment by another program: try again");
            return Err(cannot("write", &self.path, changed));
        }
        match &self.after {
            Some(text) => write_text(&self.path, text),
            None => fs::remove_file(&self.path).map_err(|error| cannot("remove", &self.path, error)),
        }
    }
}

/// What is in a file, if there is one.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, error)),
    }
}

/// Puts a text in place of what a file has, at once; through links, and with the rights that the file has.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), CliError> {
    write(path, text).map_err(|error| cannot("write", path, error))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".agentkeys-{}", std::process::id()));
    let draft = folder.join(name);
    let written = write_draft(&draft, &path, text).and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        // What went wrong counts, not what is left of it.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    if let Ok(found) = fs::metadata(target) {
        file.set_permissions(found.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn cannot(what: &str, path: &Path, source: io::Error) -> CliError {
    CliError::File { context: format!("cannot {what} `{}`", path.display()), source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edits(value: &str) -> Vec<Edit> {
        vec![Edit::JsonMember { path: vec!["env".to_owned(), "A".to_owned()], value: json!(value) }]
    }

    fn make(record: &mut Record, folder: &Path, edits: &[Edit]) {
        let edited = record.plan(&folder.join("settings.json"), edits).unwrap();
        record.keep(std::slice::from_ref(&edited), &folder.join("record.json")).unwrap();
        edited.write().unwrap();
    }

    fn undo(folder: &Path) {
        let mut record = Record::open(&folder.join("record.json")).unwrap();
        let edited = record.plan_undo(&folder.join("settings.json")).unwrap();
        edited.write().unwrap();
        record.keep(&[edited], &folder.join("record.json")).unwrap();
    }

    #[test]
    fn a_file_that_was_made_is_removed_and_so_is_the_record() {
        let folder = tempfile::tempdir().unwrap();

        make(&mut Record::default(), folder.path(), &edits("1"));
        let there = folder.path().join("settings.json").exists();
        undo(folder.path());

        assert!(there);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_second_set_up_takes_the_first_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        fs::write(&file, "{\"env\": {\"A\": \"0\"}}").unwrap();
        let mut record = Record::default();

        make(&mut record, folder.path(), &edits("1"));
        make(&mut record, folder.path(), &edits("2"));
        let between = fs::read_to_string(&file).unwrap();
        undo(folder.path());

        assert_eq!(between, "{\"env\": {\"A\": \"2\"}}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"env\": {\"A\": \"0\"}}");
    }

    #[test]
    fn what_another_program_has_written_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        fs::write(&file, "{}").unwrap();
        let edited = Record::default().plan(&file, &edits("1")).unwrap();

        fs::write(&file, "{\"b\": 2}").unwrap();

        assert!(edited.write().is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"b\": 2}");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_rights_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target.json"), folder.path().join("settings.json"));
        fs::write(&target, "{}").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();

        write_text(&link, "{\"a\": 1}").unwrap();

        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
