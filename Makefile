# Everything a checkout needs. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help demo up down status test storm check build bench toolchain clean

# rustup's place, for shells that were not started again since it was installed.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Not `cargo run`: for one package alone Cargo would build some dependencies once more.
DEV = "$$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/rolecall-dev"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## show the whole product once, on servers of its own; leaves nothing behind
	@$(DEV) demo

up: build ## start servers, api and worker, and leave them running
	@$(DEV) up

down: build ## end what `make up` started and remove its data
	@$(DEV) down

status: build ## say what of `make up` is running
	@$(DEV) status

test: check ## run `check`, then all tests, on servers of their own
	@tests/run

storm: toolchain ## some 15 minutes of faults under load; STORM_SEED=N repeats one
	@STORM_LONG=1 cargo test --locked --workspace --test storm -- --nocapture

check: toolchain ## formatting, lints, documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet

# Shows the progress of the first build, which takes minutes.
build: toolchain
	@cargo build --locked --workspace --bins

toolchain:
	@tests/toolchain

bench: toolchain ## measure bursts and memory of a release build, on servers of its own
	@cargo build --locked --release --package rolecall --package rolecall-tests --bins
	@cargo build --locked --release --package rolecall --package rolecall-tests --bin rolecall-no-authentication \
		--features rolecall/no-authentication
	@ROLECALL_BIN=$(CURDIR)/target/release/rolecall target/release/rolecall-bench

clean: ## end leftover servers of this checkout, remove all that was built
	@tests/stack/stack down
	@test ! -d .run || $(MAKE) down
	cargo clean
