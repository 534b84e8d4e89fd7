//! `hearken models …`: the commands that list, fetch, import, inspect, verify and remove models.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::ModelError;
use super::fetch::{Fetched, fetch, is_offline};
use super::file::ModelFile;
use super::import::{Origin, Prepare, import};
use super::inspect::{TensorReport, inspect};
use super::manifest::Manifest;
use super::progress::Done;
use super::store::Store;
use super::table::{Align, human_bytes, write_table};
use crate::output::complain;

/// Steps of a progress bar that shows a share.
const STEPS: u64 = 1000;

/// What to do with models.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// List the known and the installed models
    List,
    /// Download a model, verify its checksum and install it
    Fetch {
        /// A name from `hearken models list`
        name: String,
    },
    /// Install a model from weights that are on this machine
    Import {
        /// A Hugging Face or CTranslate2 directory, an OpenAI .pt or a whisper.cpp ggml .bin
        path: PathBuf,
        /// The name to install it under [default: from the path]
        #[arg(long)]
        name: Option<String>,
    },
    /// List a model's tensors with type, shape and range
    Inspect {
        /// An installed model
        name: String,
        /// Show each matrix's channel scales and quantisation error in int8
        #[arg(long)]
        int8: bool,
    },
    /// Compare installed models with their checksums
    Verify {
        /// An installed model [default: all]
        name: Option<String>,
    },
    /// Delete an installed model
    Remove {
        /// An installed model
        name: String,
    },
    /// Print where an installed model is
    Path {
        /// An installed model
        name: String,
    },
}

impl ModelsCommand {
    /// Runs the command on the user's models; gives the one that it has fetched or imported.
    /// `prepare` derives the engine's tensors from newly installed weights.
    ///
    /// # Errors
    /// When the command fails; [`ModelError::exit_code`] gives the exit code.
    pub fn run(self, prepare: &Prepare<'_>) -> Result<Option<ModelFile>, ModelError> {
        let store = Store::locate()?;
        let mut out = Vec::new();
        let result = self.run_in(&store, prepare, &mut out);
        // What was found out before a failure is worth showing too.
        print(&out).and(result)
    }

    fn run_in(
        self,
        store: &Store,
        prepare: &Prepare<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<ModelFile>, ModelError> {
        match self {
            Self::Fetch { name } => return fetch_named(store, &name, prepare, out).map(Some),
            Self::Import { path, name } => {
                return import_path(store, &path, name, prepare, out).map(Some);
            }
            Self::List => list(store, out)?,
            Self::Inspect { name, int8 } => {
                let model = store.open(&name)?;
                write_inspection(out, &inspect(&model, int8)?, int8);
            }
            Self::Verify { name } => verify(store, name, out)?,
            Self::Remove { name } => {
                let path = store.remove(&name)?;
                line(out, &format!("removed {}", path.display()));
            }
            Self::Path { name } => line(out, &store.find(&name)?.display().to_string()),
        }
        Ok(None)
    }
}

/// Writes to standard output. A reader that has gone away is no error.
fn print(text: &[u8]) -> Result<(), ModelError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(ModelError::write(Path::new("standard output"), 0)(e))
        }
        _ => Ok(()),
    }
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

/// Writing to memory does not fail.
fn table(out: &mut Vec<u8>, columns: &[Align], rows: &[Vec<String>]) {
    let _ = write_table(out, columns, rows);
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn list(store: &Store, out: &mut Vec<u8>) -> Result<(), ModelError> {
    let manifest = Manifest::builtin();
    let installed = store.installed()?;
    let mut rows = vec![row([
        "NAME",
        "INSTALLED",
        "DOWNLOAD",
        "LANGUAGES",
        "LICENCE",
    ])];
    let state = |name: &str| -> Option<String> {
        let path = store
            .path(name)
            .ok()
            .filter(|_| installed.iter().any(|i| i == name))?;
        Some(match ModelFile::open(&path) {
            Ok(model) => human_bytes(model.size()),
            Err(ModelError::Outdated { .. }) => "outdated".to_owned(),
            Err(_) => "damaged".to_owned(),
        })
    };
    for model in &manifest.models {
        let download = model.size.map_or_else(|| "?".to_owned(), human_bytes);
        let installed = state(&model.name).unwrap_or_else(|| "-".to_owned());
        rows.push(row([
            &model.name,
            &installed,
            &download,
            &model.languages,
            &model.license,
        ]));
    }
    for name in installed
        .iter()
        .filter(|name| !manifest.models.iter().any(|m| m.name == **name))
    {
        let languages = ModelFile::open(&store.path(name)?).map_or("?", |model| {
            if model.dims().is_multilingual() {
                "multilingual"
            } else {
                "English"
            }
        });
        rows.push(row([
            name,
            &state(name).unwrap_or_default(),
            "-",
            languages,
            "?",
        ]));
    }
    table(
        out,
        &[
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Left,
            Align::Left,
        ],
        &rows,
    );
    line(
        out,
        &format!("\nModels are kept in {}", store.dir().display()),
    );
    Ok(())
}

fn fetch_named(
    store: &Store,
    name: &str,
    prepare: &Prepare<'_>,
    out: &mut Vec<u8>,
) -> Result<ModelFile, ModelError> {
    let manifest = Manifest::builtin();
    let model = manifest.require(name, &[])?;
    let mut bar = Bar::new();
    let size = model.size.map_or_else(String::new, |bytes| {
        format!(", {} to download", human_bytes(bytes))
    });
    let mut announcement = Some(format!(
        "hearken: fetching {name}{size}; then it is converted: minutes, about two for base"
    ));
    let fetched = fetch(model, store, is_offline(), prepare, &mut |what, done| {
        announcement.take().iter().for_each(|line| complain(line));
        bar.show(what, done);
    })?;
    bar.clear();
    let how = match fetched {
        Fetched::AlreadyInstalled => "was already installed",
        Fetched::Verified => "installed; its sha256 is the published one",
        Fetched::StructureOnly => {
            "installed; no checksum is published for it, so only its structure was checked"
        }
    };
    line(
        out,
        &format!(
            "{} {how}: {}",
            model.name,
            store.path(&model.name)?.display()
        ),
    );
    store.open(&model.name)
}

fn import_path(
    store: &Store,
    source: &Path,
    name: Option<String>,
    prepare: &Prepare<'_>,
    out: &mut Vec<u8>,
) -> Result<ModelFile, ModelError> {
    let name = name.unwrap_or_else(|| default_name(source));
    let target = store.path(&name)?;
    let _lock = store.lock(&name)?;
    let origin = Origin {
        name,
        source: source.display().to_string(),
        dims: None,
    };
    let mut bar = Bar::new();
    import(source, &target, &origin, prepare, &mut |what, done| {
        bar.show(what, done)
    })?;
    bar.clear();
    line(
        out,
        &format!("{} installed: {}", origin.name, target.display()),
    );
    ModelFile::open(&target)
}

/// A directory's name, or a file's without its extension.
fn default_name(source: &Path) -> String {
    let absolute = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = if absolute.is_dir() {
        absolute.file_name()
    } else {
        absolute.file_stem()
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Checks one model or all; reports each, tells what is wrong as errors are told, and fails with
/// the last of them.
fn verify(store: &Store, name: Option<String>, out: &mut Vec<u8>) -> Result<(), ModelError> {
    let names = match name {
        Some(name) => vec![name],
        None => store.installed()?,
    };
    if names.is_empty() {
        line(out, "no model is installed");
    }
    let mut result = Ok(());
    for name in names {
        match store.open(&name).and_then(|model| model.verify()) {
            Ok(()) => line(out, &format!("{name}: intact")),
            Err(error) => {
                line(out, &format!("{name}: not usable"));
                if let Err(earlier) = std::mem::replace(&mut result, Err(error)) {
                    complain(&format!("hearken: {earlier}"));
                }
            }
        }
    }
    result
}

fn write_inspection(out: &mut Vec<u8>, tensors: &[TensorReport], int8: bool) {
    let mut columns = vec![
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
    ];
    let mut header = row(["TENSOR", "TYPE", "SHAPE", "MIN", "MAX"]);
    if int8 {
        columns.extend([Align::Right; 3]);
        header.extend(row(["MIN SCALE", "MAX SCALE", "RELATIVE RMS ERROR"]));
    }
    let mut rows = vec![header];
    for tensor in tensors {
        let (min, max) = (format!("{:.5}", tensor.min), format!("{:.5}", tensor.max));
        let mut cells = row([
            &tensor.name,
            &tensor.dtype.to_string(),
            &format!("{:?}", tensor.shape),
            &min,
            &max,
        ]);
        if let Some(report) = tensor.int8 {
            cells.extend([report.min_scale, report.max_scale].map(|scale| format!("{scale:.3e}")));
            cells.push(format!("{:.3} %", 100.0 * report.relative_rms));
        }
        rows.push(cells);
    }
    table(out, &columns, &rows);
    line(out, "");
    for part in ["encoder", "decoder"] {
        let of_part = || tensors.iter().filter(|t| t.name.starts_with(part));
        let parameters: usize = of_part().map(TensorReport::parameters).sum();
        let bytes: usize = of_part().map(|t| t.bytes).sum();
        let count = of_part().count();
        line(
            out,
            &format!(
                "{part}: {count} tensors, {parameters} parameters, {}",
                human_bytes(bytes as u64)
            ),
        );
    }
}

/// A progress bar on standard error, or where that is no terminal a line for each thing that is
/// done.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self(ProgressBar::with_draw_target(None, target))
    }

    fn show(&mut self, what: &str, done: Done) {
        let (template, position, length) = match done {
            Done::Share(share) => (
                "{msg:30} {wide_bar} {percent:>3} %",
                (share * STEPS as f32) as u64,
                Some(STEPS),
            ),
            Done::Bytes(done, Some(total)) => (
                "{msg:30} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta}",
                done,
                Some(total),
            ),
            Done::Bytes(done, None) => (
                "{msg:30} {decimal_bytes}, {decimal_bytes_per_sec}",
                done,
                None,
            ),
        };
        if self.0.message() != what {
            if self.0.is_hidden() {
                complain(&format!("hearken: {what}"));
            }
            self.0.reset();
            let style = ProgressStyle::with_template(template);
            self.0
                .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.0.set_message(what.to_owned());
        }
        match length {
            Some(length) => self.0.set_length(length),
            None => self.0.unset_length(),
        }
        self.0.set_position(position);
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::models::file::VERSION;
    use crate::models::import::synthetic;

    /// Runs a command with models in `dir` and returns what it printed.
    fn run(dir: &Path, command: ModelsCommand) -> Result<String, ModelError> {
        let mut out = Vec::new();
        command.run_in(
            &Store::at(dir.join("models")),
            &|_, _| Ok(Vec::new()),
            &mut out,
        )?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn imported() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ggml-mine.bin");
        let dims = synthetic::dims();
        synthetic::write_ggml(&path, &dims, &synthetic::model(&dims));
        run(dir.path(), ModelsCommand::Import { path, name: None }).unwrap();
        dir
    }

    #[test]
    fn an_imported_model_is_listed_inspected_verified_and_removed() {
        let dir = imported();
        let name = || "ggml-mine".to_owned();
        let list = run(dir.path(), ModelsCommand::List).unwrap();
        assert!(
            list.lines()
                .any(|l| l.starts_with("ggml-mine") && l.contains("B  ") && l.contains("English")),
            "{list}"
        );
        assert!(
            list.lines()
                .any(|l| l.starts_with("base ") && l.contains("145 MB") && l.contains("MIT")),
            "{list}"
        );

        let tensors = run(
            dir.path(),
            ModelsCommand::Inspect {
                name: name(),
                int8: true,
            },
        )
        .unwrap();
        assert!(tensors.contains("\nencoder: 22 tensors, "), "{tensors}");
        assert!(tensors.contains("[51864, 64]"), "{tensors}");
        assert_eq!(tensors.matches(" %\n").count(), 19, "{tensors}");

        assert_eq!(
            run(dir.path(), ModelsCommand::Verify { name: None }).unwrap(),
            "ggml-mine: intact\n"
        );
        let path = run(dir.path(), ModelsCommand::Path { name: name() }).unwrap();
        assert!(Path::new(path.trim()).is_file());
        run(dir.path(), ModelsCommand::Remove { name: name() }).unwrap();
        assert!(!Path::new(path.trim()).exists());
        let error = run(dir.path(), ModelsCommand::Path { name: name() }).unwrap_err();
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_model_of_an_earlier_version_is_told_from_a_damaged_one() {
        let dir = imported();
        let path = dir.path().join("models/ggml-mine.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let version = format!("\"version\":\"{VERSION}");
        let at = bytes
            .windows(version.len())
            .position(|part| part == version.as_bytes())
            .unwrap()
            + version.len()
            - 1;
        bytes[at] -= 1;
        fs::write(&path, bytes).unwrap();
        let error = run(dir.path(), ModelsCommand::Verify { name: None }).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("an earlier version of Hearken") && !told.contains("damaged"),
            "{told}"
        );
        assert!(told.contains("`hearken models fetch ggml-mine`"), "{told}");
        assert_eq!(error.exit_code(), 4);
        assert!(
            run(dir.path(), ModelsCommand::List)
                .unwrap()
                .contains("outdated")
        );
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let dir = imported();
        let path = dir.path().join("models/ggml-mine.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = run(
            dir.path(),
            ModelsCommand::Verify {
                name: Some("ggml-mine".to_owned()),
            },
        )
        .unwrap_err();
        assert!(error.to_string().contains("sha256"), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
}
