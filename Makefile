# SilkTalk. `make help` lists what there is to make.
# The third-party code is fetched once, checked and built below build/ (contrib/deps); with DEPS_DIR=folder it is
# taken from that folder and no network is used. New files in lib/, ops/ and tests/ need no edit here.
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
HOSTCC ?= gcc
AR ?= ar
STRIP ?= strip
OBJCOPY ?= objcopy
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export LC_ALL := C
export DEPS_DIR

VERSION := $(shell cat VERSION)
SIZE_LIMIT := 3145728

# ---- sources: sorted, so that the order does not come from the file system
LIB_SRC := $(sort $(wildcard lib/*/*.c))
OPS_SRC := $(sort $(wildcard ops/*.c))
MAIN_SRC := $(wildcard silktalk.c)
TEST_SRC := $(sort $(wildcard tests/*/*_test.c tests/*/*/*_test.c))
TESTS := $(TEST_SRC:tests/%_test.c=%)
# The world of the simulation, for tests too; the rest is the program's: main, scenario, the system under files.
SIM_MAIN := tests/sim/run.c tests/sim/posix.c $(sort $(wildcard tests/sim/scenario*.c))
SIM_SRC := $(filter-out $(SIM_MAIN),$(sort $(wildcard tests/sim/*.c)))
SIM_WRAPS := open openat close read pread write pwrite fsync fdatasync sync_file_range fallocate fchmod fstat fstatat \
    access mkdir mkdirat unlink unlinkat rename renameat opendir fdopendir readdir closedir clock_gettime rng_system
comma := ,

# ---- flags
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum \
    -Wimplicit-fallthrough -Wnull-dereference -Werror
CPPFLAGS := -D_GNU_SOURCE -Ilib -I. -I$(BUILD)
# No place of this build gets into the result; build/deps may be a link to another tree's.
MAPS := -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(or $(realpath $(BUILD)/deps),$(abspath $(BUILD)/deps))=./build/deps
CFLAGS := -std=c17 -g $(WARN) $(MAPS) -ffunction-sections -fdata-sections -fno-common
MACHINE := $(firstword $(subst -, ,$(shell $(HOSTCC) -dumpmachine)))
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection
ifeq ($(MACHINE),x86_64)
HARDEN += -fcf-protection
endif
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# A twin is one way to build everything: its compiler, flags and third-party libraries.
#   musl  the executable that is shipped, and the unit tests as they run in it
#   asan  the host's C library with AddressSanitizer and UndefinedBehaviorSanitizer; unit tests only
#   fuzz  clang with the same sanitizers, libFuzzer and coverage; fuzz targets only (tests/fuzz/README.md)
CC_musl := $(BUILD)/deps/musl/libc/bin/musl-gcc
CFLAGS_musl := -O2 $(HARDEN)
DEPS_musl := $(BUILD)/deps/musl
LDFLAGS_musl := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,text,--gc-sections,--build-id=sha1
CC_asan := $(HOSTCC)
CFLAGS_asan := -O1 $(SANITIZE)
DEPS_asan := $(BUILD)/deps/host
LDFLAGS_asan := $(SANITIZE) -Wl,--gc-sections
CLANG ?= clang
CC_fuzz := $(CLANG)
# clang's warnings differ from one version to the next, so they are shown, but end nothing.
CFLAGS_fuzz := -O1 $(SANITIZE) -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping \
    -Wno-error -Werror=incompatible-pointer-types
DEPS_fuzz := $(BUILD)/deps/host
LDFLAGS_fuzz := $(SANITIZE) -fsanitize=fuzzer -fprofile-instr-generate
LDLIBS := -lring -lsodium -lsecp256k1 -lbearssl -ltomcrypt -ltommath -lsqlite3 -lcares -linih -lyyjson -lz -lm -lpthread

.PHONY: all
all: $(BUILD)/silktalk $(BUILD)/silktalk.debug compile_commands.json ## the executable build/silktalk and its unstripped twin
	@:

# ---- third-party code
DEPS_INPUT := $(wildcard contrib/deps/table.tsv contrib/deps/build.mk contrib/deps/unpack contrib/deps/config/*.* contrib/deps/config/*/*)
$(BUILD)/deps/.sources: $(DEPS_INPUT)
	@contrib/deps/fetch $(BUILD)/dl
	@contrib/deps/unpack $(BUILD)/dl $(BUILD)/deps/src
	@touch $@
$(BUILD)/deps/%/.done: $(BUILD)/deps/.sources
	@echo "third-party libraries, $* twin"
	@$(MAKE) --no-print-directory -f contrib/deps/build.mk TWIN=$* BUILD=$(BUILD) HOSTCC=$(HOSTCC)
	@touch $@
.PRECIOUS: $(BUILD)/deps/%/.done
.PHONY: deps
deps: $(BUILD)/deps/musl/.done ## fetch, check and build the third-party libraries

# ---- generated headers: rewritten only when their content changes
# The source id is the hash of everything that makes the executable. A commit id would differ between a clone and
# a tarball of the same source, and between two commits that only change a text; two equal trees give equal bytes.
ID_FILES := $(sort $(wildcard VERSION Makefile silktalk.c lib/*/*.[ch] lib/node/page.html ops/*.[ch] contrib/deps/NOTICES) $(DEPS_INPUT))
$(BUILD)/gen/version.h: $(ID_FILES)
	@mkdir -p $(@D)
	@id=$$(sha256sum $(ID_FILES) | sha256sum | cut -c1-12); \
	printf '#pragma once\n#define SILKTALK_VERSION "%s"\n#define SILKTALK_SOURCE_ID "%s"\n' '$(VERSION)' "$$id" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/gen/notices.h: contrib/deps/NOTICES LICENSE
	@mkdir -p $(@D)
	@{ echo '#pragma once'; echo '/* LICENSE and contrib/deps/NOTICES: what version --licenses prints; ends with a 0. */'; \
	echo 'static const unsigned char silktalk_notices[] = {'; \
	{ cat LICENSE; printf '\n'; cat contrib/deps/NOTICES; } | od -An -v -tu1 | sed 's/  */ /g; s/^ //; s/ /,/g; s/$$/,/'; \
	echo '0};'; } >$@
$(BUILD)/gen/page.h: lib/node/page.html Makefile
	@mkdir -p $(@D)
	@{ echo '#pragma once'; echo '/* lib/node/page.html without its spare blanks and lines of comment: the status page at /; ends with a 0. */'; \
	echo 'static const unsigned char silktalk_page[] = {'; \
	sed -e '/^ *\/\*.*\*\/$$/d' -e '/^<style>/,/^<.style>/{s/ *\([{};,]\) */\1/g;s/: /:/g;s/;}/}/g;}' \
	    -e '/^<script>/,/^<.script>/s/ \(=>\|===\|&&\|||\) /\1/g' -e 's/{ /{/g; s/ }/}/g; s/^  *//' lib/node/page.html | od -An -v -tu1 | sed 's/  */ /g; s/^ //; s/ /,/g; s/$$/,/'; \
	echo '0};'; } >$@
GEN := $(BUILD)/gen/version.h $(BUILD)/gen/notices.h $(BUILD)/gen/page.h
.PHONY: gen
gen: $(GEN)

# ---- objects and archives of one twin
# With LENIENT=1 (the default when T= names one test) a file that does not compile is reported and left out.
LENIENT := $(if $(T),1,)
# Everything is written beside its place and renamed, so that two makes in one tree do not see half a file.
output = -MMD -MP -MF $(1:.o=.d) -MT $(1) -c $(2) -o $(1).$$$$ && mv $(1).$$$$ $(1) || \
    { rm -f $(1) $(1).$$$$; [ -n "$(LENIENT)" ]; }
archive = set --; for o in $(2); do if [ -e $$o ]; then set -- "$$@" $$o; fi; done; \
    rm -f $(1).$$$$ && $(AR) qcsD $(1).$$$$ "$$@" && mv $(1).$$$$ $(1)
define twin_rules
$(BUILD)/$(1)/obj/%.o: %.c $(BUILD)/deps/$(2)/.done | $$(GEN)
	@mkdir -p $$(@D)
	@echo "  cc $$<"
	@$$(CC_$(1)) $$(CFLAGS) $$(CFLAGS_$(1)) $$(CPPFLAGS) -isystem $$(DEPS_$(1))/include $$(call output,$$@,$$<)
$(BUILD)/$(1)/libsilktalk.a: $$(LIB_SRC:%.c=$(BUILD)/$(1)/obj/%.o)
	@$$(call archive,$$@,$$^)
$(BUILD)/$(1)/libops.a: $$(OPS_SRC:%.c=$(BUILD)/$(1)/obj/%.o) $$(MAIN_SRC:%.c=$(BUILD)/$(1)/obj/%_nomain.o)
	@$$(call archive,$$@,$$^)
$(BUILD)/$(1)/libsim.a: $$(SIM_SRC:%.c=$(BUILD)/$(1)/obj/%.o)
	@$$(call archive,$$@,$$^)
$(BUILD)/$(1)/obj/tests/sim/posix.o: CFLAGS += -Wno-missing-prototypes -Wno-pedantic
$(BUILD)/$(1)/sim: $$(SIM_MAIN:%.c=$(BUILD)/$(1)/obj/%.o) $(BUILD)/$(1)/libsim.a $(BUILD)/$(1)/libsilktalk.a
	@$$(CC_$(1)) $$(CFLAGS_$(1)) $$(LDFLAGS_$(1)) $$(SIM_WRAPS:%=-Wl$$(comma)--wrap=%) -o $$@.$$$$$$$$ \
	    $$(SIM_MAIN:%.c=$(BUILD)/$(1)/obj/%.o) -L$(BUILD)/$(1) \
	    -L$$(DEPS_$(1))/lib -lsim -lsilktalk $$(LDLIBS) && mv $$@.$$$$$$$$ $$@
# silktalk.c holds the table of applets, which tests read: here its main has another name.
$(BUILD)/$(1)/obj/%_nomain.o: %.c $(BUILD)/deps/$(2)/.done | $$(GEN)
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $$(CFLAGS) $$(CFLAGS_$(1)) $$(CPPFLAGS) -Dmain=silktalk_main -Wno-missing-prototypes \
	    -isystem $$(DEPS_$(1))/include $$(call output,$$@,$$<)
$(BUILD)/$(1)/tests/%_test: $(BUILD)/$(1)/obj/tests/%_test.o $(BUILD)/$(1)/obj/tests/test_main.o \
    $(BUILD)/$(1)/libsim.a $(BUILD)/$(1)/libops.a $(BUILD)/$(1)/libsilktalk.a
	@mkdir -p $$(@D)
	@rm -f $$@
	@$$(CC_$(1)) $$(CFLAGS_$(1)) $$(LDFLAGS_$(1)) -o $$@.$$$$$$$$ $(BUILD)/$(1)/obj/tests/$$*_test.o \
	    $(BUILD)/$(1)/obj/tests/test_main.o -L$(BUILD)/$(1) -L$$(DEPS_$(1))/lib -lsim -lops -lsilktalk -lcmocka $$(LDLIBS) && \
	    mv $$@.$$$$$$$$ $$@
-include $$(wildcard $(BUILD)/$(1)/obj/*.d $(BUILD)/$(1)/obj/*/*.d $(BUILD)/$(1)/obj/*/*/*.d $(BUILD)/$(1)/obj/*/*/*/*.d)
.PHONY: build-tests-$(1)
build-tests-$(1): $$(TESTS:%=$(BUILD)/$(1)/tests/%_test)
endef
$(eval $(call twin_rules,musl,musl))
$(eval $(call twin_rules,asan,host))
$(eval $(call twin_rules,fuzz,host))
.SECONDARY:

# ---- the executable. Without silktalk.c there is only the archive.
ifneq ($(MAIN_SRC),)
EXE_OBJ := $(BUILD)/musl/obj/silktalk.o $(OPS_SRC:%.c=$(BUILD)/musl/obj/%.o)
$(BUILD)/silktalk.debug: $(EXE_OBJ) $(BUILD)/musl/libsilktalk.a
	@echo "  link $@"
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -o $@ $(EXE_OBJ) -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)
$(BUILD)/silktalk: $(BUILD)/silktalk.debug
	@$(STRIP) --strip-all -R .comment -o $@.new $<
	@n=$$(wc -c <$@.new); [ "$$n" -le $(SIZE_LIMIT) ] || { echo "$@ has $$n bytes, the limit is $(SIZE_LIMIT)"; exit 1; }
	@mv $@.new $@
	@echo "  $@: $$(wc -c <$@) bytes, version $(VERSION)"
else
.PHONY: $(BUILD)/silktalk $(BUILD)/silktalk.debug
$(BUILD)/silktalk $(BUILD)/silktalk.debug: $(BUILD)/musl/libsilktalk.a
	@:
endif

# For editors and clang tools. They bring their own compiler, so the flags are given without the musl wrapper.
compile_commands.json: Makefile $(wildcard lib lib/* ops tests tests/*) $(BUILD)/deps/musl/.done
	@{ echo '['; sep=; for f in $(MAIN_SRC) $(LIB_SRC) $(OPS_SRC) $(TEST_SRC); do \
	    printf '%s{"directory": "%s", "file": "%s", "command": "cc -std=c17 %s -isystem %s %s -c %s"}' "$$sep" '$(CURDIR)' \
	        "$$f" '$(CPPFLAGS)' '$(DEPS_musl)/include' '$(WARN)' "$$f"; sep=',\n'; sep=$$(printf ',\n_'); sep=$${sep%_}; \
	done; echo; echo ']'; } >$@

# ---- the wire without the node: a program of tests/interop
WIRE_TOOL := $(BUILD)/tests/interop/wire_tool
$(WIRE_TOOL): $(patsubst %.c,$(BUILD)/musl/obj/%.o,$(sort $(wildcard tests/interop/*.c))) $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -o $@ $(filter %.o,$^) -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)

# ---- checks
.PHONY: check check-unit check-asan check-scripts lint demo bench
check: all $(WIRE_TOOL) $(BUILD)/crash/silktalk $(BUILD)/full/silktalk ## everything: unit tests, the sanitizer twin, lint, end-to-end scripts
	@tests/run all
check-unit: ## unit tests in the musl twin; T=proto/yamux runs one file of tests
	@JOBS=$(JOBS) tests/run unit $(T)
check-asan: ## the same under ASan and UBSan
	@JOBS=$(JOBS) tests/run asan $(T)
check-scripts: all $(WIRE_TOOL) $(BUILD)/crash/silktalk $(BUILD)/full/silktalk ## the end-to-end scripts; T=build/size runs one
	@tests/run scripts $(T)
lint: ## layers, sizes, forbidden words, cppcheck
	@tests/lint/run
demo: all ## two nodes on loopback exchange messages (contrib/demo)
	@contrib/demo
# The executable again, with BENCH_SYNC_DELAY_MS added to each sync; and what the machine can do without it.
BENCH_SYNC := $(BUILD)/musl/obj/tests/bench/sync_delay.o
$(BUILD)/bench/silktalk: $(EXE_OBJ) $(BENCH_SYNC) $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -Wl,--wrap=fsync,--wrap=fdatasync -o $@ $(EXE_OBJ) $(BENCH_SYNC) \
	    -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)
$(BUILD)/bench/limits: $(BUILD)/musl/obj/tests/bench/limits.o $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -o $@ $< -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)
bench: all $(BUILD)/bench/silktalk $(BUILD)/bench/limits ## measure beside go-, js- and rust-libp2p: tests/bench/RESULTS.md; QUICK=1, S="start bulk"
	@QUICK=$(QUICK) BUILD=$(BUILD) tests/bench/run $(S)

# ---- the twin whose unsynced writes are lost when it is killed: tests/crash/lossy.c
LOSSY := $(BUILD)/musl/obj/tests/crash/lossy.o
LOSSY_WRAPS := open close read pread write pwrite lseek ftruncate fsync fdatasync fstat stat lstat unlink fcntl
$(LOSSY): CFLAGS += -Wno-missing-prototypes -Wno-pedantic
$(BUILD)/crash/silktalk: $(EXE_OBJ) $(LOSSY) $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) $(LOSSY_WRAPS:%=-Wl$(comma)--wrap=%) -o $@ $(EXE_OBJ) $(LOSSY) \
	    -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)

# ---- the twin with a full disk, or killed, at any one call: tests/crash/full.c
FULL := $(BUILD)/musl/obj/tests/crash/full.o
FULL_WRAPS := write fsync mkdir rename renameat linkat open openat
$(FULL): CFLAGS += -Wno-missing-prototypes -Wno-pedantic
$(BUILD)/full/silktalk: $(EXE_OBJ) $(FULL) $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) $(FULL_WRAPS:%=-Wl$(comma)--wrap=%) -o $@ $(EXE_OBJ) $(FULL) \
	    -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)

# ---- simulation: many nodes on virtual time over a network and disks that fail; the seed decides everything
.PHONY: sim
sim: $(BUILD)/musl/sim ## SEED=n (default 1) SEEDS=how many from there, NODES=n or 5-50 (default: the seed's choice), VERBOSE=1
	@$(BUILD)/musl/sim $(or $(SEED),1) $(or $(SEEDS),1) $(or $(NODES),0) $(if $(VERBOSE),verbose)

# ---- the attacker of tests/abuse, and the executable with a clock that the test sets
ABUSE_OBJ := $(patsubst %.c,$(BUILD)/musl/obj/%.o,$(filter-out tests/abuse/clock.c,$(sort $(wildcard tests/abuse/*.c))))
$(BUILD)/abuse/attacker: $(ABUSE_OBJ) $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -o $@ $(ABUSE_OBJ) -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)
$(BUILD)/abuse/silktalk: $(EXE_OBJ) $(BUILD)/musl/obj/tests/abuse/clock.o $(BUILD)/musl/libsilktalk.a
	@mkdir -p $(@D)
	@$(CC_musl) $(CFLAGS_musl) $(LDFLAGS_musl) -Wl,--wrap=clock_gettime,--wrap=gettimeofday,--wrap=time -o $@ $(EXE_OBJ) \
	    $(BUILD)/musl/obj/tests/abuse/clock.o -L$(BUILD)/musl -L$(DEPS_musl)/lib -lsilktalk $(LDLIBS)

# ---- fuzzing: one program for each tests/fuzz/NAME_fuzz.c
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ := $(FUZZ_SRC:tests/fuzz/%_fuzz.c=$(BUILD)/fuzz/%)
FUZZ_SHARED := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(filter-out $(FUZZ_SRC),$(sort $(wildcard tests/fuzz/*.c))))
$(FUZZ): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%_fuzz.o $(FUZZ_SHARED) $(BUILD)/fuzz/libsilktalk.a
	@echo "  link $@"
	@$(CC_fuzz) $(LDFLAGS_fuzz) $(LDFLAGS_fuzz_$*) -o $@.$$$$ $< $(FUZZ_SHARED) $(FUZZ_OPS_$*) -L$(BUILD)/fuzz -L$(DEPS_fuzz)/lib \
	    -lsilktalk $(LDLIBS) && mv $@.$$$$ $@
FUZZ_OPS_logs := $(BUILD)/fuzz/obj/ops/check_logs.o
$(BUILD)/fuzz/logs: $(FUZZ_OPS_logs)
LDFLAGS_fuzz_store := $(patsubst %,-Wl$(comma)--wrap=%,fchmod fsync rename write read)
LDFLAGS_fuzz_dns := -Wl,--wrap=ares_query,--wrap=ares_timeout,--wrap=ares_process_fd
.PHONY: fuzz fuzz-build fuzz-check
fuzz-build: $(FUZZ)
fuzz: fuzz-build ## fuzz each target MINUTES=1 (T=node: that one), keep what is new, report the parsers' coverage
	@BUILD=$(BUILD) tests/fuzz/run fuzz $(or $(MINUTES),1) $(T)
fuzz-check: fuzz-build ## the kept corpus and a fixed number of runs; coverage of each parser (part of check-scripts)
	@BUILD=$(BUILD) tests/fuzz/run check $(T)

# ---- the rest
.PHONY: install dist-deps clean distclean help
install: all ## DESTDIR= PREFIX=/usr/local: the executable and the links of its applets
	@install -d $(DESTDIR)$(PREFIX)/bin
	@install -m 0755 $(BUILD)/silktalk $(DESTDIR)$(PREFIX)/bin/silktalk
	@$(DESTDIR)$(PREFIX)/bin/silktalk applets --install $(DESTDIR)$(PREFIX)/bin
	@echo "installed in $(DESTDIR)$(PREFIX)/bin"
dist-deps: $(BUILD)/deps/.sources ## TO=folder: copy the third-party sources there, for DEPS_DIR= on a machine without network
	@[ -n "$(TO)" ] || { echo "say where: make dist-deps TO=folder"; exit 2; }
	@mkdir -p "$(TO)" && cp -r $(BUILD)/dl/. "$(TO)/" && echo "copied to $(TO)"
clean: ## remove what was built here; keep downloads and third-party libraries
	@rm -rf $(BUILD)/silktalk $(BUILD)/silktalk.debug $(BUILD)/musl $(BUILD)/asan $(BUILD)/fuzz $(BUILD)/gen compile_commands.json
distclean: ## remove build/ as a whole
	@rm -rf $(BUILD) compile_commands.json
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
