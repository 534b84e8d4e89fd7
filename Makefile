# Run on a sample: make demo. Run the checks and tests: make test. Both install what the system lacks.

PREFIX ?= /usr/local
MODEL := base
HEARKEN := target/release/hearken

# Rust is often installed for one user and not on the PATH of a script.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: build demo test test-aarch64 model install deb shim third-party prerequisites
.NOTPARALLEL:

build: prerequisites
	cargo build --release --locked

demo: build model
	$(HEARKEN) --file tests/data/jfk.flac --model $(MODEL) --window 30

# The same cases of the property tests each time, so that it says the same of the same commit; cargo test draws new ones.
test:
	@packaging/prerequisites --checks
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	kernels/test
	cargo build --release --locked
	@$(MAKE) --no-print-directory model
	PROPTEST_RNG_SEED=1 cargo test --release --locked --no-fail-fast
	xrt-sys/check-shim
	@packaging/test-aarch64

# The kernels on another processor, emulated; part of make test.
test-aarch64:
	@packaging/test-aarch64

prerequisites:
	@packaging/prerequisites

# The real weights, in the user's ordinary place for models: golden tests and the demo need them.
model:
	@$(HEARKEN) models verify $(MODEL) >/dev/null 2>&1 || { \
		echo "The model $(MODEL) is not on this machine yet, or damaged: fetching it." >&2; \
		$(HEARKEN) models fetch $(MODEL); \
	}

# Documentation, which keeps its place, so that its links hold.
DOCS := README.md NOTICE LICENSE-MIT LICENSE-APACHE docs/*.md docs/transcript.schema.json packaging/config.toml \
	packaging/dbus/*.xml models/MODEL.md models/tail/README.md kernels/*.md xrt-sys/include/hearken_xrt.h benches/*/README.md

# Installs what `make` has built, so that root needs no Rust: make && sudo make install
install:
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
	if [ -e target/npu/manifest.json ]; then install -Dm644 -t $(DESTDIR)$(PREFIX)/lib/hearken/npu target/npu/*; fi
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/dbus-1/interfaces packaging/dbus/*.xml
	install -d $(DESTDIR)$(PREFIX)/share/dbus-1/services $(DESTDIR)$(PREFIX)/lib/systemd/user
	sed 's|@PREFIX@|$(PREFIX)|' packaging/hearken.service.in > $(DESTDIR)$(PREFIX)/lib/systemd/user/hearken.service
	sed 's|@PREFIX@|$(PREFIX)|' packaging/org.hearken.Hearken1.service.in \
		> $(DESTDIR)$(PREFIX)/share/dbus-1/services/org.hearken.Hearken1.service

# The shim over XRT, for a machine with an NPU and XRT 2.17 or newer with its headers; make install takes it, too.
shim:
	cargo build --release --locked --package xrt-sys --features build-shim
	cp "$$(ls -t target/release/build/xrt-sys-*/out/libhearken_xrt.so | head -n 1)" target/release/

# A Debian package of what `make` has built: target/hearken_VERSION_ARCH.deb
deb:
	packaging/deb

# After a change of dependencies: lists their licences.
third-party:
	packaging/third-party > docs/third-party.md.new
	mv docs/third-party.md.new docs/third-party.md
