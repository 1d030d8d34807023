# A thin task runner over meson.
#
#   make run [ARGS="…"]   installs what is missing, builds, and opens the window; with no display the
#                         conversation is in the terminal (ARGS are then those of hearth-cli chat)
#   make install          hearth, hearth-cli, icons and manual into /usr/local; DESTDIR goes before that
#   make check            every test suite; ends with "N passed, N failed, N skipped"
#   make check-window     the part of it that drives the real window like a person
#   make check-newest     compiles with Debian 13's libraries, deprecations being errors, and runs the
#                         window's tests there (root)
#   make fuzz [SECONDS=N] each libFuzzer program for N seconds (600), from the committed corpus
#   make bench            speed beside llama.cpp's, and the share of this machine's limits
#   make bench-window     history of 1,000,000 messages (made once, minutes), then the window: first
#                         frame, long conversations, search, streaming, memory
#   make clean            removes the build folders
#
# HEARTH_SHARED names a folder with vocab/ and chat-templates/; when it is unset, ../shared is
# taken if it is there, and else the tests that need it are skipped and counted.

BUILD := build
SECONDS := 600
# GPU kernels are compiled for the cards that this machine has: for all architectures that a release
# serves it takes many minutes. A packager leaves meson's default.
GPU_ARCHS := $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | \
	tr -d . | sort -u | paste -sd,)
APP_ID := io.github.hearth_ai.Hearth
# The window with its settings and languages, the program for the terminal, and what a desktop reads.
PROGRAMS := ui/hearth app/cli/hearth-cli data/gschemas.compiled hearth-gmo \
	data/$(APP_ID).desktop data/$(APP_ID).metainfo.xml
ARGS :=
# As tests/room has it.
CACHE := $(or $(HEARTH_BENCH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hearth-bench)

.PHONY: run build install check check-window check-newest fuzz bench bench-window clean

run: build
	@exec $(BUILD)/ui/hearth $(ARGS)

build:
	@packaging/linux/install-deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dcuda=auto -Dgpu_archs=$(GPU_ARCHS) >&2
	@ninja -C $(BUILD) $(PROGRAMS) >&2

install: build
	@meson install -C $(BUILD) --no-rebuild

check:
	@packaging/linux/install-deps build test
	@tests/run

check-window: build
	@packaging/linux/install-deps build test
	@meson test -C $(BUILD) --no-rebuild --suite drive

check-newest:
	@packaging/linux/install-deps newest
	@tests/newest

fuzz:
	@packaging/linux/install-deps build fuzz
	@tests/fuzz/run $(SECONDS)

bench: build
	@packaging/linux/install-deps bench
	@tests/bench/run $(BUILD)/app/cli/hearth-cli

bench-window: build
	@packaging/linux/install-deps build test
	@ninja -C $(BUILD) tests/bench/bench-store >&2
	@mkdir -p $(CACHE)
	@$(BUILD)/tests/bench/bench-store $(CACHE)/million.db
	@/usr/bin/env python3 tests/bench/ui.py $(BUILD)/ui/hearth $(CACHE)/million.db

clean:
	rm -rf $(BUILD) build-*
