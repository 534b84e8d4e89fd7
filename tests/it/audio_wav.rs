//! Wav files whose sizes are wrong, as programs write them that do not know them: the audio is all
//! there.

use crate::support::{Decoded, decode_file, decode_pipe};
use hearken::advice::Advice;

/// Two seconds of 16-bit samples at 16 kHz, mono.
fn samples() -> Vec<f32> {
    (0..32_000).map(|i| (i as f32 * 0.05).sin() * 0.5).collect()
}

fn bytes_of(samples: &[f32]) -> Vec<u8> {
    let bytes = |x: &f32| ((x * 32_768.0) as i16).to_le_bytes();
    samples.iter().flat_map(bytes).collect()
}

/// The format of such samples, as a chunk.
fn format(tag: u16, bits: u16, frame: u16) -> Vec<u8> {
    let mut chunk = b"fmt \x10\0\0\0".to_vec();
    for field in [tag, 1, 16_000, 0, 0, 0, frame, bits] {
        chunk.extend(field.to_le_bytes());
    }
    chunk
}

fn chunk(name: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
    [name, size.to_le_bytes().as_slice(), body].concat()
}

fn riff(size: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    [&chunk(b"RIFF", size, b"WAVE"), chunks.concat().as_slice()].concat()
}

/// Length in samples and the line of an error, if there is one.
fn outcome(decoded: &Decoded) -> (usize, Option<String>) {
    let error = decoded.error.as_ref().map(Advice::explain);
    (decoded.samples.len(), error)
}

/// Checks that a file and a pipe give all samples, within a few.
fn check(file: &[u8], label: &str) {
    let wanted = samples().len();
    for decoded in [decode_file(file), decode_pipe(file)] {
        let (n, error) = outcome(&decoded);
        assert_eq!(error, None, "{label}");
        assert!(n.abs_diff(wanted) < 60, "{label}: {n} samples");
        assert_eq!(decoded.warnings, [], "{label}");
    }
}

#[test]
fn any_sizes_give_all_of_the_audio() {
    let audio = bytes_of(&samples());
    let n = audio.len() as u32;
    let wrong = |right: u32| {
        [
            0,
            36,
            right - 8,
            right,
            right + 100_000,
            0x7fff_ffff,
            u32::MAX,
        ]
    };
    for riff_size in wrong(36 + n) {
        for data_size in wrong(n) {
            // Both sizes together say that the file was cut off.
            let is_cut = riff_size == 36 + n + 100_000 && data_size == n + 100_000;
            let file = riff(
                riff_size,
                &[format(1, 16, 2), chunk(b"data", data_size, &audio)],
            );
            let label = format!("RIFF {riff_size}, data {data_size}");
            if is_cut {
                let (samples, error) = outcome(&decode_file(&file));
                assert_eq!(samples, 32_000);
                let line = error.expect("an error");
                assert!(
                    line.contains("damaged at 2.00 s: the file ends here, not at 5.12 s"),
                    "{line}"
                );
            } else {
                check(&file, &label);
            }
        }
    }
}

#[test]
fn wrong_sizes_of_metadata_cost_nothing() {
    let audio = bytes_of(&samples());
    let n = audio.len() as u32;
    for padding in [&b""[..], b"\0"] {
        for size in [0, 5, 7, 1 << 20, 0xffff_fff0] {
            let list = chunk(b"LIST", size, &[b"INFOx", padding].concat());
            let data = chunk(b"data", n, &audio);
            let label = format!("size {size}, padding {}", padding.len());
            let before = [format(1, 16, 2), list.clone(), data.clone()];
            check(&riff(36 + n + 14, &before), &format!("before, {label}"));
            let after = [format(1, 16, 2), data, list];
            check(&riff(36 + n + 14, &after), &format!("after, {label}"));
        }
    }
}

#[test]
fn files_beyond_4_gib_and_of_sony_are_read() {
    let audio = bytes_of(&samples());
    let n = audio.len() as u64;
    for name in [b"RF64", b"BW64"] {
        let sizes = [n + 72, n, n / 2].map(u64::to_le_bytes).concat();
        let ds64 = chunk(b"ds64", 28, &[sizes, vec![0; 4]].concat());
        let rest = [ds64, format(1, 16, 2), chunk(b"data", u32::MAX, &audio)].concat();
        check(
            &[&chunk(name, u32::MAX, b"WAVE"), rest.as_slice()].concat(),
            "RF64",
        );
    }
    let guid = |name: &[u8; 4]| {
        [
            name.as_slice(),
            b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a",
        ]
        .concat()
    };
    let riff_guid = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0";
    let w64 = [
        riff_guid.to_vec(),
        (n + 104).to_le_bytes().to_vec(),
        guid(b"wave"),
        guid(b"fmt "),
        40_u64.to_le_bytes().to_vec(),
        format(1, 16, 2)[8..].to_vec(),
        guid(b"data"),
        (n + 24).to_le_bytes().to_vec(),
        audio,
    ];
    check(&w64.concat(), "W64");
}

#[test]
fn samples_of_24_bits_in_4_bytes_are_read_wherever_they_stand() {
    let wanted = samples();
    let of = |shift: u32| {
        let bytes = |x: &f32| (((x * 8_388_607.0) as i32) << shift).to_le_bytes();
        wanted.iter().flat_map(bytes).collect::<Vec<u8>>()
    };
    for shift in [0, 8] {
        let audio = of(shift);
        let data = chunk(b"data", audio.len() as u32, &audio);
        let decoded = decode_file(&riff(36, &[format(1, 24, 4), data]));
        let worst = decoded
            .samples
            .iter()
            .zip(&wanted)
            .map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-4, "shifted by {shift}");
    }
}

#[test]
fn floating_point_samples_of_any_scale_are_brought_to_one() {
    for scale in [
        100.0,
        1_000.0,
        3_000.0,
        32_768.0,
        8_388_608.0,
        2_147_483_648.0,
    ] {
        let audio: Vec<u8> = samples()
            .iter()
            .flat_map(|x| (x * scale).to_le_bytes())
            .collect();
        let data = chunk(b"data", audio.len() as u32, &audio);
        let decoded = decode_file(&riff(36, &[format(3, 32, 4), data]));
        let peak = decoded
            .samples
            .iter()
            .fold(0.0_f32, |peak, x| peak.max(x.abs()));
        assert!((0.5..=1.0).contains(&peak), "scale {scale}: {peak}");
        assert_eq!(decoded.warnings, []);
    }
}

#[test]
fn bytes_that_are_no_samples_are_named() {
    let noise = (0..64_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    // A stream of a cipher or a compressor, under the header of a wav file.
    let mut state = 7_u32;
    let random: Vec<u8> = noise
        .map(|x| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x ^ (state >> 24) as u8
        })
        .collect();
    let data = chunk(b"data", random.len() as u32, &random);
    let (_, error) = outcome(&decode_file(&riff(36, &[format(1, 16, 2), data])));
    let line = error.expect("an error");
    assert!(line.contains("decodes to noise from end to end"), "{line}");
}
