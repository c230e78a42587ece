#!/usr/bin/env bash
# Feeds every reader of network bytes with nonsense, one after the other, for two minutes each:
#   make fuzz                                  all of them
#   make fuzz FUZZ=rtp SECONDS_EACH=3600       one, for an hour
# It begins with stream/fuzz/seeds, where nonsense alone would never come to sense. What it learns
# stays in stream/fuzz/corpus, what it breaks lies in stream/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../stream"

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
	echo "It takes a nightly Rust and cargo-fuzz:" >&2
	echo "  rustup toolchain install nightly && cargo install cargo-fuzz" >&2
	exit 1
fi

targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(cargo +nightly fuzz list)
for target in "${targets[@]}"; do
	echo "── $target, ${SECONDS_EACH:=120} s ──"
	corpora=("fuzz/corpus/$target")
	mkdir -p "${corpora[0]}"
	[[ ! -d fuzz/seeds/$target ]] || corpora+=("fuzz/seeds/$target")
	# No sanitizer: there is no unsafe code here. Overflows and assertions are on all the same.
	nice -n 19 cargo +nightly fuzz run --sanitizer none "$target" "${corpora[@]}" -- \
		-max_total_time="$SECONDS_EACH" -rss_limit_mb=1024 -timeout=5 -print_final_stats=1
done
