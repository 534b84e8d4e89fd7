//! Log-mel spectrogram as OpenAI's Whisper computes it.
