# SPDX-License-Identifier: GPL-2.0
# CXLfork: what can be made. The logic is in qemu-configs/.

CONFIG ?= default
Q := qemu-configs
LAB := tools/testing/cxlfork-lab

help:
	@echo 'make setup    install what the host needs (as root), get a QEMU >= 11'
	@echo 'make kernel [CONFIG=default|debug]   build the kernel'
	@echo 'make image    build the guest image'
	@echo 'make tools    build library, CLI, ghost and selftests for the guests'
	@echo 'make demo     two hosts, one CXL memory: fork a Python function remotely'
	@echo 'make test     every test; last line: N passed, N failed, N skipped'
	@echo 'make stress [STRESS_SECONDS=600] [STRESS_SEED=N]   random operations in clones, all paths, the kernel'\''s mm tests, KILLS=500'
	@echo 'make fuzz [FUZZ_RUNS=1000000] [FUZZ_SEED=N]   hostile pools and images, on this machine'
	@echo 'make bench-unused   what it costs who does not use it, in instructions'
	@echo 'make bench-leaf     what clones cost beside forked children'
	@echo 'make bench    both'
	@echo 'make series   the whole work as mailable patches, in build/series'
	@echo 'make check    checkpatch, sparse and shellcheck on our files'
	@echo 'make clean    remove what this checkout built (the shared cache stays)'

setup:
	@$(Q)/setup

kernel: setup
	@$(Q)/kernel $(CONFIG)

image: setup
	@$(Q)/image

tools: setup
	@$(Q)/tools

lab-ready: setup
	@$(Q)/image
	@$(Q)/kernel default
	@$(Q)/tools

demo: lab-ready
	@$(LAB)/demo.sh

test: lab-ready
	@$(Q)/kernel debug
	@$(LAB)/run-tests.sh

stress: export STRESS_SECONDS := $(or $(STRESS_SECONDS),600)
stress: export STRESS_FAIL := $(or $(STRESS_FAIL),1)
stress: export FUZZ_RUNS := $(or $(FUZZ_RUNS),200000)
stress: export KILLS := $(or $(KILLS),500)
stress: export FUZZ_SECONDS := $(or $(FUZZ_SECONDS),300)
stress: lab-ready
	@$(Q)/kernel debug
	@LONG=1 PATHS_ALL=1 STOCK_ALL=1 CUTS_ALL=1 CALLS_ALL=1 $(LAB)/run-tests.sh '*-kselftest' 'debug-*-paths' 'debug-*-stress' \
		'debug-*-region-gone' 'debug-*-poison' 'debug-unequal-*' 'default-equal-publisher-dies' \
		'default-*-stock-mm' 'host-*-fuzz' 'default-incoherent-*' '*-four-*' 'default-incoherent4-*' 'default-*-fuzz'

fuzz: export FUZZ_RUNS := $(or $(FUZZ_RUNS),1000000)
fuzz: export FUZZ_CORPUS := $(or $(FUZZ_CORPUS),$(CURDIR)/build/fuzz/corpus)
fuzz: setup
	@$(LAB)/run-tests.sh --kernel host fuzz

bench-unused: lab-ready
	@$(Q)/kernel unpatched
	@$(LAB)/bench/run unused

bench-leaf: lab-ready
	@$(LAB)/bench/run leaf

bench: bench-unused bench-leaf

series: setup
	@$(Q)/series

check: setup
	@$(Q)/check

clean:
	@$(Q)/clean

.PHONY: help setup kernel image tools lab-ready demo test stress fuzz bench bench-unused bench-leaf series check clean
.NOTPARALLEL:
