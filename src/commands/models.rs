//! `hearken models …`: lists, fetches, imports, inspects, verifies and removes models.
//!
//! In: the parsed command. Out: text for standard output; progress on standard error.

use std::path::Path;

use super::error::Error;
use super::terminal::{Align, ProgressLine, human_bytes, table};
use crate::advice::Advice;
use crate::cli::ModelsCommand;
#[cfg(feature = "fetch")]
use crate::models::{Fetched, fetch, is_offline};
use crate::models::{
    Manifest, ModelError, ModelFile, Origin, Prepare, Store, TensorReport, import, inspect,
};
use crate::output::{self, OutputError, eprint_line};

/// Runs a command on the user's models and returns the model that it installed, if any. `prepare`
/// derives the engine's tensors from newly installed weights.
///
/// # Errors
/// Returns an error if the command fails or standard output cannot be written.
pub fn run(command: ModelsCommand, prepare: &Prepare<'_>) -> Result<Option<ModelFile>, Error> {
    let store = Store::locate()?;
    let mut out = String::new();
    let result = run_in(command, &store, prepare, &mut out);
    // Output produced before a failure is worth printing too.
    match output::print(&out) {
        Ok(()) | Err(OutputError::Closed) => Ok(result?),
        Err(error) => Err(error.into()),
    }
}

fn run_in(
    command: ModelsCommand,
    store: &Store,
    prepare: &Prepare<'_>,
    out: &mut String,
) -> Result<Option<ModelFile>, ModelError> {
    match command {
        ModelsCommand::List => list(store, out)?,
        #[cfg(feature = "fetch")]
        ModelsCommand::Fetch { name } => return fetch_named(store, &name, prepare, out).map(Some),
        ModelsCommand::Import { path, name } => {
            return import_path(store, &path, name, prepare, out).map(Some);
        }
        ModelsCommand::Inspect { name, int8 } => {
            let model = store.open(&name)?;
            print_inspection(out, &inspect(&model, int8)?, int8);
        }
        ModelsCommand::Verify { name } => verify(store, name, out)?,
        ModelsCommand::Remove { name } => {
            let path = store.remove(&name)?;
            print_line(out, &format!("removed {}", path.display()));
        }
        ModelsCommand::Path { name } => print_line(out, &store.find(&name)?.display().to_string()),
    }
    Ok(None)
}

fn list(store: &Store, out: &mut String) -> Result<(), ModelError> {
    let manifest = Manifest::builtin();
    let installed = store.installed()?;
    let columns = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
    ];
    let mut rows = vec![row([
        "NAME",
        "INSTALLED",
        "DOWNLOAD",
        "LANGUAGES",
        "LICENCE",
    ])];
    for model in &manifest.models {
        let state = if installed.contains(&model.name) {
            describe_state(&ModelFile::open(&store.path(&model.name)?))
        } else {
            "-".to_owned()
        };
        let download = model.size.map_or_else(|| "?".to_owned(), human_bytes);
        rows.push(row([
            &model.name,
            &state,
            &download,
            &model.languages,
            &model.license,
        ]));
    }
    let is_listed = |name: &String| manifest.models.iter().any(|model| model.name == *name);
    for name in installed.iter().filter(|name| !is_listed(name)) {
        let opened = ModelFile::open(&store.path(name)?);
        let languages = match &opened {
            Ok(model) if model.dims().is_multilingual() => "multilingual",
            Ok(_) => "English",
            Err(_) => "?",
        };
        rows.push(row([name, &describe_state(&opened), "-", languages, "?"]));
    }
    out.push_str(&table(&columns, &rows));
    print_line(
        out,
        &format!("\nModels are kept in {}", store.dir().display()),
    );
    Ok(())
}

/// Returns the size of an installed model, or why it cannot be used.
fn describe_state(opened: &Result<ModelFile, ModelError>) -> String {
    match opened {
        Ok(model) => human_bytes(model.size()),
        Err(ModelError::Outdated { .. }) => "outdated".to_owned(),
        Err(_) => "damaged".to_owned(),
    }
}

#[cfg(feature = "fetch")]
fn fetch_named(
    store: &Store,
    name: &str,
    prepare: &Prepare<'_>,
    out: &mut String,
) -> Result<ModelFile, ModelError> {
    let manifest = Manifest::builtin();
    let model = manifest.require(name, &[])?;
    let mut bar = ProgressLine::new();
    let size = model.size.map_or_else(String::new, |bytes| {
        format!(", {} to download", human_bytes(bytes))
    });
    let mut announcement = Some(format!(
        "hearken: fetching {name}{size}; converting it then takes minutes, about two for base"
    ));
    let fetched = fetch(model, store, is_offline(), prepare, &mut |what, done| {
        announcement
            .take()
            .iter()
            .for_each(|line| eprint_line(line));
        bar.show(what, done);
    })?;
    bar.clear();
    let how = match fetched {
        Fetched::AlreadyInstalled => "was already installed",
        Fetched::Verified => "installed; its sha256 matches the published one",
        Fetched::StructureOnly => {
            "installed; it has no published checksum, so only its structure was checked"
        }
    };
    print_line(
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
    out: &mut String,
) -> Result<ModelFile, ModelError> {
    let name = name.unwrap_or_else(|| default_name(source));
    let target = store.path(&name)?;
    let _lock = store.lock(&name)?;
    let origin = Origin {
        name,
        source: source.display().to_string(),
        dims: None,
    };
    let mut bar = ProgressLine::new();
    import(source, &target, &origin, prepare, &mut |what, done| {
        bar.show(what, done)
    })?;
    bar.clear();
    print_line(
        out,
        &format!("{} installed: {}", origin.name, target.display()),
    );
    ModelFile::open(&target)
}

/// Returns the name of a directory, or of a file without its extension.
fn default_name(source: &Path) -> String {
    let absolute = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = if absolute.is_dir() {
        absolute.file_name()
    } else {
        absolute.file_stem()
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Checks one model or all, and reports each. Returns the last error; earlier ones are printed to
/// standard error.
fn verify(store: &Store, name: Option<String>, out: &mut String) -> Result<(), ModelError> {
    let names = match name {
        Some(name) => vec![name],
        None => store.installed()?,
    };
    if names.is_empty() {
        print_line(out, "no model is installed");
    }
    let mut result = Ok(());
    for name in names {
        match store.open(&name).and_then(|model| model.verify()) {
            Ok(()) => print_line(out, &format!("{name}: intact")),
            Err(error) => {
                print_line(out, &format!("{name}: unusable"));
                if let Err(earlier) = std::mem::replace(&mut result, Err(error)) {
                    eprint_line(&format!("hearken: {}", earlier.explain()));
                }
            }
        }
    }
    result
}

fn print_inspection(out: &mut String, tensors: &[TensorReport], int8: bool) {
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
        let mut cells = row([
            &tensor.name,
            &tensor.dtype.to_string(),
            &format!("{:?}", tensor.shape),
            &format!("{:.5}", tensor.min),
            &format!("{:.5}", tensor.max),
        ]);
        if let Some(report) = tensor.int8 {
            cells.extend([report.min_scale, report.max_scale].map(|scale| format!("{scale:.3e}")));
            cells.push(format!("{:.3} %", 100.0 * report.relative_rms));
        }
        rows.push(cells);
    }
    out.push_str(&table(&columns, &rows));
    print_line(out, "");
    for part in ["encoder", "decoder"] {
        let of_part = || tensors.iter().filter(|t| t.name.starts_with(part));
        let parameters: usize = of_part().map(TensorReport::parameters).sum();
        let bytes: usize = of_part().map(|t| t.bytes).sum();
        let count = of_part().count();
        print_line(
            out,
            &format!(
                "{part}: {count} tensors, {parameters} parameters, {}",
                human_bytes(bytes as u64)
            ),
        );
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn print_line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::models::{VERSION, synthetic};

    /// Runs a command with models in `dir` and returns what it printed.
    fn run(dir: &Path, command: ModelsCommand) -> Result<String, ModelError> {
        let store = Store::at(dir.join("models"));
        let mut out = String::new();
        run_in(command, &store, &|_, _| Ok(Vec::new()), &mut out)?;
        Ok(out)
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
        assert!(matches!(error, ModelError::Unknown { .. }));
    }

    #[test]
    fn a_model_of_an_earlier_version_is_not_reported_as_damaged() {
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
        let message = error.explain();
        assert!(
            message.contains("an earlier version of Hearken") && !message.contains("damaged"),
            "{message}"
        );
        assert!(
            message.contains("`hearken models fetch ggml-mine`"),
            "{message}"
        );
        assert!(matches!(error, ModelError::Outdated { .. }));
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
        assert!(matches!(error, ModelError::Damaged { .. }));
    }
}
