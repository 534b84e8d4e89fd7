# make help lists the targets. Only setup, demo and test install system packages; all others say what is missing.

PREFIX ?= /usr/local
MODEL := base
HEARKEN := target/release/hearken

# Rust is often installed for one user and not on the PATH of a script.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: build help setup check lint unit doc demo test test-loom test-aarch64 model install deb shim fcitx5 third-party
.NOTPARALLEL:

build: ## builds target/release/hearken (the default)
	@packaging/prerequisites --check-only
	cargo build --release --locked

help: ## lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.* ## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r target text; do \
		printf '  make %-14s %s\n' "$$target" "$$text"; done

setup: ## installs the system packages that building needs
	@packaging/prerequisites

demo: ## installs missing packages, builds, fetches the model base, transcribes a sample
	@packaging/prerequisites
	cargo build --release --locked
	@$(MAKE) --no-print-directory model
	$(HEARKEN) --file tests/data/jfk.flac --model $(MODEL) --window 30

check: lint doc ## formatting, lints, documentation and layers; under a minute once built
	cargo test --locked --test layers

lint: ## formatting and lints alone
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings

doc: ## builds the crates' documentation; a broken link is an error
	RUSTDOCFLAGS="-D warnings" cargo doc $(PROFILE) --locked --no-deps --workspace

# The same cases of the property tests each time, so that it says the same of the same commit; cargo test draws new ones.
unit: export PROPTEST_RNG_SEED = 1
unit: ## the tests that need neither a model nor a sound server; under a minute once built
	HEARKEN_MODELS_DIR=/nonexistent cargo test --locked --workspace --lib --bins --test it --test layers

test: export PROPTEST_RNG_SEED = 1
# One test at a time: input methods and displays of several sessions get in each other's way.
test: export RUST_TEST_THREADS = 1
test: ## installs missing packages, then runs all checks and tests
	@packaging/prerequisites --lint --test
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked --no-default-features -- -D warnings
	@$(MAKE) --no-print-directory doc PROFILE=--release
	kernels/test
	cargo build --release --locked
	@$(MAKE) --no-print-directory model
	cargo test --release --locked --no-fail-fast -- --include-ignored
	xrt-sys/check-shim
	packaging/test-loom
	@packaging/test-aarch64

test-loom: ## the thread pool in every order of its threads' steps, by loom; part of make test
	packaging/test-loom

test-aarch64: ## the kernels on another processor, emulated; part of make test
	@packaging/test-aarch64

# The golden tests and the demo need the real weights, in the user's ordinary place for models.
model: ## fetches the model base, unless it is installed
	@$(HEARKEN) models verify $(MODEL) >/dev/null 2>&1 || { \
		echo "The model $(MODEL) is not on this machine yet, or damaged: fetching it." >&2; \
		$(HEARKEN) models fetch $(MODEL); \
	}

# Documentation, which keeps its place, so that its links hold.
DOCS := README.md CONTRIBUTING.md CHANGELOG.md NOTICE LICENSE-MIT LICENSE-APACHE docs/*.md docs/transcript.schema.json \
	docs/recording/listen.svg packaging/config.toml \
	packaging/dbus/*.xml models/MODEL.md models/tail/README.md kernels/*.md kernels/*/*.md xrt-sys/include/hearken_xrt.h benches/*/README.md

# Installs what `make` has built, so that root needs no Rust.
install: ## installs to PREFIX, /usr/local unless given: make && sudo make install
	@test -x $(HEARKEN) || { echo "install: $(HEARKEN) is not built yet; run make first" >&2; exit 1; }
	install -Dm755 $(HEARKEN) $(DESTDIR)$(PREFIX)/bin/hearken
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	$(HEARKEN) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hearken
	$(HEARKEN) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/hearken.fish
	$(HEARKEN) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_hearken
	for file in $(DOCS); do install -Dm644 $$file $(DESTDIR)$(PREFIX)/share/doc/hearken/$$file || exit; done
	if [ -e target/release/libhearken_xrt.so ]; then \
		install -Dm755 -t $(DESTDIR)$(PREFIX)/lib/hearken target/release/libhearken_xrt.so; fi
	if [ -e $(FCITX5_ADDON) ]; then \
		install -Dm755 -t $(DESTDIR)$(FCITX5_DIR) $(FCITX5_ADDON) && \
		install -Dm644 -t $(DESTDIR)$(PREFIX)/share/fcitx5/addon packaging/fcitx5/hearken.conf; fi
	if [ -e target/npu/manifest.json ]; then install -Dm644 -t $(DESTDIR)$(PREFIX)/lib/hearken/npu target/npu/*; fi
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/dbus-1/interfaces packaging/dbus/*.xml
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/ibus/component packaging/ibus/hearken.xml
	install -d $(DESTDIR)$(PREFIX)/share/dbus-1/services $(DESTDIR)$(PREFIX)/lib/systemd/user
	sed 's|@PREFIX@|$(PREFIX)|' packaging/hearken.service.in > $(DESTDIR)$(PREFIX)/lib/systemd/user/hearken.service
	sed 's|@PREFIX@|$(PREFIX)|' packaging/app-org.hearken.Hearken.service.in \
		> $(DESTDIR)$(PREFIX)/lib/systemd/user/app-org.hearken.Hearken.service
	install -d $(DESTDIR)$(PREFIX)/share/applications
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps packaging/org.hearken.Hearken.svg
	sed 's|@PREFIX@|$(PREFIX)|' packaging/org.hearken.Hearken.desktop.in \
		> $(DESTDIR)$(PREFIX)/share/applications/org.hearken.Hearken.desktop
	sed 's|@PREFIX@|$(PREFIX)|' packaging/org.hearken.Hearken1.service.in \
		> $(DESTDIR)$(PREFIX)/share/dbus-1/services/org.hearken.Hearken1.service

# For a machine with an NPU and XRT 2.17 or newer with its headers; make install installs it, too.
shim: ## builds the shim over XRT
	cargo build --release --locked --package xrt-sys --features build-shim
	cp "$$(ls -t target/release/build/xrt-sys-*/out/libhearken_xrt.so | head -n 1)" target/release/

# The addon through which Fcitx 5 takes text; make install installs it, too. It needs Fcitx's headers (libfcitx5core-dev),
# and loads in later versions of Fcitx 5. Fcitx looks in its own directory only.
FCITX5_ADDON := target/fcitx5/libhearken.so
FCITX5_DIR ?= $(shell pkg-config --variable=libdir Fcitx5Core 2>/dev/null)/fcitx5

fcitx5: $(FCITX5_ADDON) ## builds the addon for Fcitx 5

$(FCITX5_ADDON): packaging/fcitx5/hearken.cpp
	mkdir -p $(@D)
	$(CXX) -std=c++17 -O2 -Wall -Wextra -Werror -shared -fPIC -o $@ $< $$(pkg-config --cflags --libs Fcitx5Core Fcitx5Module)

deb: ## makes target/hearken_VERSION_ARCH.deb of what make has built
	packaging/deb

third-party: ## lists the dependencies' licences in docs/third-party.md, after a change of dependencies
	packaging/third-party > docs/third-party.md.new
	mv docs/third-party.md.new docs/third-party.md
