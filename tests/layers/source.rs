//! The files of `src/` without comments, strings and tests, and what each imports.

use std::collections::BTreeMap;
use std::path::Path;
use syn::visit::{self, Visit};

/// A path in code, split at `::`.
pub type Names = Vec<String>;

/// A source file.
pub struct File {
    /// Path below `src/`.
    pub path: String,
    /// Names of the modules that lead to it; empty for `lib.rs`.
    pub module: Names,
    /// Text as it stands, line by line.
    pub lines: Vec<String>,
    /// First line, from 0, of the tests that end it, or the number of its lines.
    pub n_product_lines: usize,
    /// Absolute paths (without `crate`) that it names, tests excluded.
    pub imports: Vec<Names>,
    /// Names that it exports for others: the name, and the absolute path that it stands for.
    pub reexports: BTreeMap<String, Names>,
}

/// All of `src/`.
pub struct Source {
    /// The files, by path.
    pub files: Vec<File>,
}

impl Source {
    /// Reads the files of this repository.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = Vec::new();
        collect(&root, &root, &mut texts);
        assert!(texts.len() > 100, "src/ was not found");
        Self::parse(texts)
    }

    /// Made-up files: path below `src/` and text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| (path.to_string(), text.to_string());
        Self::parse(files.iter().map(owned).collect())
    }

    fn parse(mut texts: Vec<(String, String)>) -> Self {
        texts.sort();
        let modules: Vec<Names> = texts.iter().map(|(path, _)| module_of(path)).collect();
        let files = texts.into_iter().filter(|(path, _)| !is_test(path));
        let files = files.map(|(path, text)| File::parse(path, &text, &modules));
        Self {
            files: files.collect(),
        }
    }

    /// The file of a module.
    pub fn file(&self, module: &[String]) -> Option<usize> {
        self.files.iter().position(|file| file.module == module)
    }

    /// The file that defines what an absolute path names: the longest module path, followed through
    /// re-exports.
    pub fn definition(&self, path: &[String]) -> Option<usize> {
        let mut path = path.to_vec();
        // A re-export leads to another path; a chain of them is short.
        for _ in 0..8 {
            let depth = (0..=path.len())
                .rev()
                .find(|n| self.file(&path[..*n]).is_some())?;
            let file = self.file(&path[..depth])?;
            match path
                .get(depth)
                .and_then(|name| self.files[file].reexports.get(name))
            {
                Some(target) => path = [target.clone(), path[depth + 1..].to_vec()].concat(),
                None => return Some(file),
            }
        }
        None
    }
}

impl File {
    fn parse(path: String, text: &str, modules: &[Names]) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|e| panic!("src/{path}: {e}"));
        let module = module_of(&path);
        let mut paths = Paths {
            module: &module,
            modules,
            imports: Vec::new(),
            reexports: BTreeMap::new(),
        };
        paths.visit_file(&syntax);
        let Paths {
            imports, reexports, ..
        } = paths;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let tests = lines.iter().position(|line| line == "#[cfg(test)]");
        let n_product_lines = tests.unwrap_or(lines.len());
        Self {
            path,
            module,
            lines,
            n_product_lines,
            imports,
            reexports,
        }
    }
}

/// Collects the paths of a file that lead to other files of the crate.
struct Paths<'a> {
    module: &'a [String],
    modules: &'a [Names],
    imports: Vec<Names>,
    reexports: BTreeMap<String, Names>,
}

impl Paths<'_> {
    /// The absolute form of a path, if it leads into this crate.
    fn absolute(&self, path: &[String]) -> Option<Names> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let (base, rest) = match path.first()?.as_str() {
            "crate" => (&[][..], &path[1..]),
            "self" => (self.module, &path[1..]),
            "super" => {
                let depth = self.module.len().checked_sub(supers)?;
                (&self.module[..depth], &path[supers..])
            }
            name => {
                let child = [self.module, &[name.to_owned()]].concat();
                self.modules
                    .contains(&child)
                    .then_some((self.module, path))?
            }
        };
        Some([base, rest].concat())
    }

    fn uses(&mut self, tree: &syn::UseTree, prefix: &mut Names, is_public: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.uses(&path.tree, prefix, is_public);
                prefix.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.uses(tree, prefix, is_public);
                }
            }
            syn::UseTree::Name(name) => self.used(prefix, &name.ident, &name.ident, is_public),
            syn::UseTree::Rename(name) => self.used(prefix, &name.ident, &name.rename, is_public),
            syn::UseTree::Glob(_) => {
                if let Some(path) = self.absolute(prefix) {
                    self.imports.push(path);
                }
            }
        }
    }

    fn used(&mut self, prefix: &[String], name: &syn::Ident, shown: &syn::Ident, is_public: bool) {
        let mut path = prefix.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        let Some(path) = self.absolute(&path) else {
            return;
        };
        if is_public {
            self.reexports.insert(shown.to_string(), path);
        } else {
            self.imports.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        if !is_for_tests(&item.attrs) {
            self.uses(&item.tree, &mut Vec::new(), is_public);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Modules inside a file are tests or small; paths of theirs would need another base.
        if !is_for_tests(&item.attrs) && item.content.is_none() {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if names.len() > 1
            && let Some(path) = self.absolute(&names)
        {
            self.imports.push(path);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

/// The module that a file below `src/` holds.
fn module_of(path: &str) -> Names {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

fn collect(root: &Path, directory: &Path, texts: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below src/");
            let text = std::fs::read_to_string(&path).expect("source text");
            texts.push((name.to_string_lossy().into_owned(), text));
        }
    }
}
