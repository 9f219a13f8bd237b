# Builds the third-party libraries of one twin: make -f contrib/deps/build.mk TWIN=musl|host
#   musl  for the executable: static, position independent, with the wrapper of the musl that is built first
#   host  for the sanitizer twin: the host's compiler and C library
# Sources lie in $(SRC)/NAME (see unpack), results in $(OUT)/include and $(OUT)/lib. No library's own build system is
# used but musl's: the lists below say which files and which options, and nothing is probed on the machine.
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
BUILD ?= build
SRC := $(BUILD)/deps/src
OUT := $(BUILD)/deps/$(TWIN)
INC := $(OUT)/include
LIB := $(OUT)/lib
HOSTCC ?= gcc
AR ?= ar
CONFIG := contrib/deps/config

# Sections let the linker drop what is not called; the mapped prefix keeps the place of the build out of the result.
COMMON := -std=gnu11 -w -fPIE -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. -D_GNU_SOURCE
ifeq ($(TWIN),musl)
CC := $(OUT)/libc/bin/musl-gcc
LIBC := $(OUT)/libc/lib/libc.a
CFLAGS := $(COMMON) -g1 -fstack-protector-strong
FAST := -O3
PLAIN := -O2
else
CC := $(HOSTCC)
LIBC :=
CFLAGS := $(COMMON) -g
FAST := -O1
PLAIN := -O1
endif
MACHINE := $(firstword $(subst -, ,$(shell $(HOSTCC) -dumpmachine)))

LIBS := sodium ring bearssl tomcrypt tommath inih sqlite3 z yyjson cares secp256k1 cmocka
all: $(LIBS:%=$(LIB)/lib%.a)
.PHONY: all
.DELETE_ON_ERROR:

src = $(patsubst $(SRC)/%,%,$(sort $(wildcard $(addprefix $(SRC)/,$(1)))))

# ---- musl
$(OUT)/libc/lib/libc.a: $(SRC)/musl/.rows
	@echo "  musl (its own make, about half a minute)"
	@rm -rf $(OUT)/libc $(OUT)/libc-build
	@mkdir -p $(OUT)/libc-build
	@cd $(OUT)/libc-build && CC="$(HOSTCC)" CFLAGS="-O2 -g1 -fPIE -ffile-prefix-map=$(CURDIR)=." \
	    $(CURDIR)/$(SRC)/musl/configure --prefix=$(CURDIR)/$(OUT)/libc --disable-shared --enable-wrapper=gcc \
	    >configure.log 2>&1 || { tail configure.log; exit 1; }
	@$(MAKE) -C $(OUT)/libc-build install >$(OUT)/libc-build/make.log 2>&1 || { tail -20 $(OUT)/libc-build/make.log; exit 1; }
	@rm -rf $(OUT)/libc-build

# ---- headers, all of them before the first object
HEADERS := $(INC)/.done
$(HEADERS): contrib/deps/build.mk $(wildcard $(CONFIG)/*) $(wildcard $(SRC)/*/.rows) $(SRC)/sqlite/made/sqlite3.c
	@rm -rf $(INC)
	@mkdir -p $(INC) $(LIB)
	@cp -r $(SRC)/sodium/src/libsodium/include/sodium $(SRC)/sodium/src/libsodium/include/sodium.h $(INC)/
	@sed 's/@VERSION@/1.0.18/; s/@SODIUM_LIBRARY_VERSION_MAJOR@/10/; s/@SODIUM_LIBRARY_VERSION_MINOR@/3/; s/@SODIUM_LIBRARY_MINIMAL_DEF@//' \
	    $(SRC)/sodium/src/libsodium/include/sodium/version.h.in >$(INC)/sodium/version.h
	@cp $(SRC)/bearssl/inc/*.h $(INC)/
	@cp $(SRC)/tommath/tommath.h $(INC)/
	@cp $(SRC)/tomcrypt/src/headers/*.h $(INC)/
	@cat $(CONFIG)/tomcrypt_options.h $(SRC)/tomcrypt/src/headers/tomcrypt_custom.h >$(INC)/tomcrypt_custom.h
	@{ echo '/* The options SilkTalk builds inih with. */'; for o in $(INIH_OPTIONS); do echo "#define $$o" | tr = ' '; done; \
	    cat $(SRC)/inih/ini.h; } >$(INC)/ini.h
	@cp $(SRC)/sqlite/made/sqlite3.h $(SRC)/zlib/zlib.h $(SRC)/zlib/zconf.h $(SRC)/yyjson/src/yyjson.h $(INC)/
	@cp $(SRC)/cares/include/*.h $(INC)/
	@cp $(SRC)/secp256k1/include/*.h $(INC)/
	@cp $(SRC)/cmocka/include/cmocka*.h $(INC)/
	@touch $@

# ---- what is compiled, and how. $(1) archive, $(2) sources below $(SRC), $(3) flags
define library
OBJ_$(1) := $(2:%=$(OUT)/obj/%.o)
$$(OBJ_$(1)): FLAGS := $(3)
$(LIB)/lib$(1).a: $$(OBJ_$(1))
	@echo "  lib$(1).a"
	@rm -f $$@
	@$(AR) rcD $$@ $$^
endef
$(OUT)/obj/%.o: $(SRC)/% $(HEADERS) $(LIBC)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(FLAGS) $(OWN_FLAGS) -c $< -o $@

# libsodium: vector code is chosen at run time by sodium_init, so the file that holds it may be compiled for more
# than the machine at hand.
SODIUM := -DCONFIGURED=1 -DDEV_MODE=0 -DHAVE_PTHREAD -DHAVE_ATOMIC_OPS -DHAVE_WEAK_SYMBOLS -DHAVE_SYS_MMAN_H \
    -DHAVE_SYS_RANDOM_H -DHAVE_GETRANDOM -DHAVE_LINUX_COMPATIBLE_GETRANDOM -DHAVE_MMAP -DHAVE_MLOCK -DHAVE_MADVISE \
    -DHAVE_MPROTECT -DHAVE_NANOSLEEP -DHAVE_POSIX_MEMALIGN -DHAVE_GETPID -DHAVE_C_VARARRAYS -DHAVE_EXPLICIT_BZERO \
    -DHAVE_ALLOCA_H -DHAVE_ALLOCA -DHAVE_INLINE_ASM -fno-strict-aliasing -fno-strict-overflow
ifeq ($(MACHINE),x86_64)
SODIUM += -DHAVE_MMINTRIN_H -DHAVE_EMMINTRIN_H -DHAVE_PMMINTRIN_H -DHAVE_TMMINTRIN_H -DHAVE_SMMINTRIN_H \
    -DHAVE_AVXINTRIN_H -DHAVE_AVX2INTRIN_H -DHAVE_AVX512FINTRIN_H -DHAVE_WMMINTRIN_H -DHAVE_RDRAND \
    -DHAVE_AMD64_ASM -DHAVE_AVX_ASM -DHAVE_TI_MODE -DHAVE_CPUID -DNATIVE_LITTLE_ENDIAN -DCPU_UNALIGNED_ACCESS \
    -DASM_HIDE_SYMBOL=.hidden
endif
ifeq ($(MACHINE),aarch64)
SODIUM += -DHAVE_TI_MODE -DNATIVE_LITTLE_ENDIAN -DCPU_UNALIGNED_ACCESS
endif
SODIUM_SRC := $(patsubst $(SRC)/%,%,$(shell find $(SRC)/sodium/src/libsodium -name '*.c' | LC_ALL=C sort))
ifeq ($(MACHINE),x86_64)
SODIUM_SRC += $(patsubst $(SRC)/%,%,$(shell find $(SRC)/sodium/src/libsodium -name '*.S' | LC_ALL=C sort))
sse2 := -msse2
ssse3 := $(sse2) -mssse3
sse41 := $(ssse3) -msse4.1
avx2 := $(sse41) -mavx -mavx2
$(OUT)/obj/%aesni.c.o: OWN_FLAGS := $(ssse3) -maes -mpclmul
$(OUT)/obj/%-sse2.c.o: OWN_FLAGS := $(sse2)
$(OUT)/obj/%_sse2.c.o: OWN_FLAGS := $(sse2)
$(OUT)/obj/%_sse.c.o: OWN_FLAGS := $(sse2)
$(OUT)/obj/%-ssse3.c.o: OWN_FLAGS := $(ssse3)
$(OUT)/obj/%-sse41.c.o: OWN_FLAGS := $(sse41)
$(OUT)/obj/%-avx2.c.o: OWN_FLAGS := $(avx2)
$(OUT)/obj/%-avx512f.c.o: OWN_FLAGS := $(avx2) -mavx512f
$(OUT)/obj/%_internal_random.c.o: OWN_FLAGS := -mrdrnd
endif
$(eval $(call library,sodium,$(SODIUM_SRC),$(FAST) $(SODIUM) -I$(INC)/sodium -I$(INC) -I$(SRC)/sodium/src/libsodium/include/sodium))

# ring: two files of BoringSSL's assembly, as its authors generated them; all of the rest is Rust. Nothing in them asks
# what the processor can do: lib/crypto/vector.c does. Elsewhere than on x86-64 the archive is empty.
ifeq ($(MACHINE),x86_64)
RING_SRC := $(addprefix ring/pregenerated/,chacha20_poly1305_x86_64-elf.S sha256-x86_64-elf.S)
endif
$(eval $(call library,ring,$(RING_SRC),-I$(SRC)/ring/include -I$(CONFIG)))

$(eval $(call library,bearssl,$(call src,bearssl/src/*.c bearssl/src/*/*.c),$(PLAIN) -I$(SRC)/bearssl/src -I$(INC)))

$(eval $(call library,tommath,$(call src,tommath/bn_*.c),$(FAST) -I$(SRC)/tommath))

TOMCRYPT_SRC := $(patsubst $(SRC)/%,%,$(shell find $(SRC)/tomcrypt/src -name '*.c' ! -name '*_tab.c' ! -path '*/prngs/rng_devrandom*' | LC_ALL=C sort))
$(eval $(call library,tomcrypt,$(TOMCRYPT_SRC),$(PLAIN) -DLTC_SOURCE -I$(INC)))

# inih: whole lines up to 8 KiB, continued lines, the line number for messages, every section shown to the handler.
INIH_OPTIONS := INI_MAX_LINE=8192 INI_USE_STACK=0 INI_ALLOW_REALLOC=1 INI_INITIAL_ALLOC=256 INI_ALLOW_MULTILINE=1 \
    INI_HANDLER_LINENO=1 INI_CALL_HANDLER_ON_NEW_SECTION=1 INI_STOP_ON_FIRST_ERROR=0 INI_ALLOW_NO_VALUE=0
$(eval $(call library,inih,inih/ini.c,$(PLAIN) $(INIH_OPTIONS:%=-D%)))

# SQLite: one connection per thread; strings are 'so'; no code from files; temporary tables in memory. Options that
# change its grammar would have to be given to tclsh above too: there are none.
SQLITE := -DSQLITE_THREADSAFE=2 -DSQLITE_DQS=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED \
    -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_JSON -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_TEMP_STORE=3 \
    -DSQLITE_DEFAULT_FOREIGN_KEYS=1 -DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_MAX_EXPR_DEPTH=100 \
    -DSQLITE_OMIT_TRACE -DSQLITE_UNTESTABLE -DSQLITE_USE_ALLOCA -DSQLITE_TRUSTED_SCHEMA=0 \
    -DHAVE_FDATASYNC=1 -DHAVE_USLEEP=1 -DHAVE_LOCALTIME_R=1 -DHAVE_GMTIME_R=1 -DHAVE_STRCHRNUL=1
$(SRC)/sqlite/made/sqlite3.c: $(SRC)/sqlite/.rows
	@echo "  sqlite3.c (by tclsh)"
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@cd $(@D) && $(MAKE) -s -j1 -f ../main.mk TOP=.. BCC="$(HOSTCC) -O1 -w" OPTS= THREADSAFE= sqlite3.c >make.log 2>&1 || \
	    { tail -5 make.log; exit 1; }
$(eval $(call library,sqlite3,sqlite/made/sqlite3.c,$(PLAIN) $(SQLITE)))

$(eval $(call library,z,$(call src,zlib/*.c),$(FAST) -DHAVE_UNISTD_H -DHAVE_STDARG_H -I$(SRC)/zlib))

$(eval $(call library,yyjson,yyjson/src/yyjson.c,$(PLAIN) -DYYJSON_DISABLE_NON_STANDARD=1))

CARES_SRC := $(filter-out %/windows_port.c %/ares_android.c,$(call src,cares/src/lib/*.c))
$(OUT)/obj/cares/src/lib/ares_init.c.o: OWN_FLAGS := -Drand=silktalk_cares_rand
$(eval $(call library,cares,$(CARES_SRC),$(PLAIN) -DHAVE_CONFIG_H -DCARES_STATICLIB -I$(CONFIG) -I$(SRC)/cares/src/lib -I$(INC)))
$(LIB)/libcares.a: $(OUT)/obj/cares_rand.o
$(OUT)/obj/cares_rand.o: $(CONFIG)/cares_rand.c $(HEADERS) $(LIBC)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(PLAIN) -c $< -o $@

# libsecp256k1: small tables (79 KB in all, 1.1 MB by default); a verification still takes well under a millisecond.
SECP := -DECMULT_WINDOW_SIZE=4 -DECMULT_GEN_PREC_BITS=2 -DSECP256K1_STATIC
ifeq ($(MACHINE),x86_64)
SECP += -DUSE_ASM_X86_64=1
endif
$(eval $(call library,secp256k1,$(addprefix secp256k1/src/,secp256k1.c precomputed_ecmult.c precomputed_ecmult_gen.c),$(FAST) $(SECP) -I$(SRC)/secp256k1/include))

$(eval $(call library,cmocka,cmocka/src/cmocka.c,$(PLAIN) -DHAVE_CONFIG_H -I$(CONFIG) -I$(INC)))
