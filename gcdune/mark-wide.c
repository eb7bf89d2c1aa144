/* mark-wide.c - the markers' inner loop (mark-burst.h) for processors with vectors of eight words (AVX-512): up to four
 * granules of an object are looked at in one comparison, and the words that could be addresses are stored side by side,
 * without a branch. Called by mark-loop.c if gcdune_mark_wide_works; by what libc has found out already, for where the
 * processor is virtual each CPUID instruction exits to the host.
 *
 * Granules are read one by one: they never cross a cache line, so no line is waited for that holds nothing of the object,
 * and no page is read that does not. (One load of all eight words, those beyond the object masked out, was slower by a third
 * where the heap is not in the cache, and by four times where the page after the object was not there.)
 *
 * The program may write a word while it is read. It is read whole all the same: it is aligned, lies in one cache line, and
 * loads of several words take no less than one from a line at a time. */
#include "mark-parts.h"

#include <immintrin.h>
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#endif

#include "place.h"
#include "remark.h"

#define BURST_TARGET __attribute__((target("avx512f,bmi2,popcnt")))

enum { STEP = 4 }; /* granules */

static const __m128i nothing;

/* Up to STEP granules of WORD. Up to eight words are written at TOP, whatever stays. */
static inline BURST_TARGET __attribute__((no_sanitize("address", "thread"))) uint64_t *step(uint64_t *top,
											    const uintptr_t *word,
											    size_t granules)
{
	uintptr_t from = (uintptr_t)&nothing + (((uintptr_t)word - (uintptr_t)&nothing) & -gcdune_opaque(granules > 0));
	const __m128i *at = (const __m128i *)from;
	/* Where there is no second, third or fourth, the first again, which the mask takes out. */
	__m128i a = _mm_load_si128(at), b = _mm_load_si128(at + gcdune_opaque(granules > 1)),
		c = _mm_load_si128(at + 2 * gcdune_opaque(granules > 2)), d = _mm_load_si128(at + 3 * gcdune_opaque(granules > 3));
	__m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1),
		cd = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
	__m512i words = _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1),
		offsets = _mm512_sub_epi64(words, _mm512_set1_epi64((long long)gcdune_heap.base));
	__mmask8 mask = (__mmask8)((1u << (2 * granules)) - 1);

	mask = _mm512_mask_cmplt_epu64_mask(mask, offsets, _mm512_set1_epi64((long long)gcdune_heap.size));
	_mm512_storeu_si512(top, _mm512_maskz_compress_epi64(mask, words));
	return top + __builtin_popcount(mask);
}

static inline BURST_TARGET __attribute__((no_sanitize("address", "thread"))) uint64_t *
burst_scan(uint64_t *top, const uintptr_t *word, size_t granules)
{
	for (; __builtin_expect(granules > STEP, 0); granules -= STEP, word += 2 * STEP)
		top = step(top, word, STEP);
	return step(top, word, granules);
}

#include "mark-burst.h"

BURST_TARGET void gcdune_mark_loop_wide(struct gcdune_marker *m)
{
	loop(m);
}

BURST_TARGET __attribute__((no_sanitize("address", "thread"))) size_t
gcdune_mark_find_wide(const uintptr_t *word, size_t words, uintptr_t *found)
{
	const __m512i base = _mm512_set1_epi64((long long)gcdune_heap.base), size = _mm512_set1_epi64((long long)gcdune_heap.size);
	uintptr_t *to = found;

	for (; words > 0; word += 8) {
		/* Lanes that are masked out are not read. */
		__mmask8 mask = words >= 8 ? 0xff : (__mmask8)((1u << words) - 1);
		__m512i eight = _mm512_maskz_loadu_epi64(mask, word);

		mask = _mm512_mask_cmple_epu64_mask(mask, _mm512_sub_epi64(eight, base), size);
		words -= words >= 8 ? 8 : words;
		if (!mask)
			continue;
		_mm512_storeu_si512(to, _mm512_maskz_compress_epi64(mask, eight));
		to += __builtin_popcount(mask);
	}
	return (size_t)(to - found);
}

bool gcdune_mark_wide_works(void)
{
#if __has_include(<sys/platform/x86.h>)
	return CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(BMI2) && CPU_FEATURE_ACTIVE(POPCNT);
#else
	return false;
#endif
}
