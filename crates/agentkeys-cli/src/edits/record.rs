use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Edit, Made};
use crate::{error::CliError, text_file::TextFile};

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
    file: TextFile,
    after: Option<String>,
    changed: Option<Changed>,
    /// Whether somebody has changed what is to be taken back, so that it stays.
    is_left: bool,
}

impl Record {
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let file = TextFile::open(path)?;
        let Some(text) = file.text() else { return Ok(Self::default()) };
        serde_json::from_str(text).map_err(|source| cannot("read", path, source.into()))
    }

    /// The files that were changed.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }

    /// What makes `edits` be in a file, instead of those that were made there before.
    pub(crate) fn plan(&self, path: &Path, edits: &[Edit]) -> Result<Edited, CliError> {
        let malformed = |source| CliError::Edit { path: path.to_owned(), source };
        let file = TextFile::open(path)?;
        let own = self.0.get(path);
        let before = file.text().map(str::to_owned);
        let start = before.clone().unwrap_or_default();
        if edits.iter().try_fold(true, |all, edit| Ok(all && edit.is_in(&start)?)).map_err(malformed)? {
            return Ok(Edited { path: path.to_owned(), file, after: before, changed: own.cloned(), is_left: false });
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
        Ok(Edited { path: path.to_owned(), file, after: Some(text), changed, is_left: false })
    }

    /// What takes back all that was made in a file.
    pub(crate) fn plan_undo(&self, path: &Path) -> Result<Edited, CliError> {
        let malformed = |source| CliError::Edit { path: path.to_owned(), source };
        let file = TextFile::open(path)?;
        let before = file.text().map(str::to_owned);
        let (after, is_left) = match (before, self.0.get(path)) {
            (Some(text), Some(own)) => {
                let (after, is_left) = own.take_back(&text).map_err(malformed)?;
                let is_empty = matches!(after.trim(), "" | "{}");
                (Some(after).filter(|_| !(own.created && is_empty)), is_left)
            }
            (before, _) => (before, false),
        };
        Ok(Edited { path: path.to_owned(), file, after, changed: None, is_left })
    }

    /// Keeps what is about to be made, so that it can be taken back whatever happens next.
    pub(crate) fn keep(&mut self, edited: &[Edited], at: &Path) -> Result<(), CliError> {
        for Edited { path, changed, .. } in edited {
            match changed {
                Some(changed) => self.0.insert(path.clone(), changed.clone()),
                None => self.0.remove(path),
            };
        }
        let file = TextFile::open(at)?;
        if self.0.is_empty() {
            return file.replace(None);
        }
        let text = serde_json::to_string_pretty(self).map_err(|error| cannot("write", at, error.into()))?;
        file.replace(Some(&text))
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
        self.file.text() != self.after.as_deref()
    }

    pub(crate) fn is_left(&self) -> bool {
        self.is_left
    }

    pub(crate) fn show(&self, output: &crate::output::Output) {
        super::print(output, &self.path, self.file.text(), self.after.as_deref());
    }

    /// Does it, unless the file has changed since it was looked at.
    pub(crate) fn write(&self) -> Result<(), CliError> {
        self.file.replace(self.after.as_deref())
    }
}

fn cannot(what: &str, path: &Path, source: io::Error) -> CliError {
    CliError::File { context: format!("cannot {what} `{}`", path.display()), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
}
