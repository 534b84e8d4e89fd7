//! OpenAI's decoding rules.
