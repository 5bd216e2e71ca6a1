/* From the samples of a sound to what a keyword network takes: frames, windowed, transformed, summed in bands, their
 * logarithms, and of these the first cosines. The bits of mcusim/kernels/reference/front_end.py. */
#include "arithmetic.h"

static float magnitude(float x) { return x < 0.0f ? -x : x; }

static float modulus(float re, float im) { return mcusim_root(re * re + im * im) * 0.5f; }

/* Complex numbers into the order in which the transform takes them: that of their number's bits reversed. */
static void reverse(float *z, uint32_t half) {
    for (uint32_t i = 1, j = 0; i < half; i++) {
        uint32_t bit = half >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        float re = z[2 * i], im = z[2 * i + 1];
        z[2 * i] = z[2 * j], z[2 * i + 1] = z[2 * j + 1];
        z[2 * j] = re, z[2 * j + 1] = im;
    }
}

/* The transform of half complex numbers, in place; waves are cosines, a quarter further on minus sines. */
static void transform(float *z, uint32_t half, const float *waves) {
    const float *sines = waves + half / 2;
    reverse(z, half);
    for (uint32_t size = 2; size <= half; size *= 2) {
        uint32_t apart = 2 * half / size;
        for (uint32_t k = 0; k < size / 2; k++) {
            float wr = waves[k * apart], wi = sines[k * apart];
            for (uint32_t i = k; i < half; i += size) {
                float *a = z + 2 * i, *b = a + size;
                float tr = wr * b[0] - wi * b[1], ti = wr * b[1] + wi * b[0];
                b[0] = a[0] - tr, b[1] = a[1] - ti;
                a[0] = a[0] + tr, a[1] = a[1] + ti;
            }
        }
    }
}

/* The transform of 2 * half real numbers, of which the complex one has made z: magnitudes of bins 0 to half, each at
 * twice its number. */
static void magnitudes(float *z, uint32_t half, const float *waves) {
    const float *sines = waves + half / 2;
    float re = z[0], im = z[1];
    z[0] = magnitude(re + im), z[2 * half] = magnitude(re - im);
    for (uint32_t k = 1; k <= half / 2; k++) {
        float *a = z + 2 * k, *b = z + 2 * (half - k);
        float er = a[0] + b[0], ei = a[1] - b[1], odd = a[1] + b[1], even = b[0] - a[0];
        float tr = waves[k] * odd - sines[k] * even, ti = waves[k] * even + sines[k] * odd;
        b[0] = modulus(er - tr, ei - ti);
        a[0] = modulus(er + tr, ei + ti);
    }
}

static void bands(const mcusim_front_end *r, const float *z, float *y) {
    const float *weight = r->weights;
    for (uint32_t b = 0; b < r->bands; b++) {
        const float *bin = z + 2 * r->bins[b];
        float total = 0.0f;
        for (uint32_t i = 0; i < r->bins[r->bands + b]; i++) total += bin[2 * i] * *weight++;
        y[b] = mcusim_logarithm(total + 1e-6f);
    }
}

/* Halves to even; as far as an input of 16 bits reaches and beyond. */
static uint64_t nearest_integer(mcusim_real v) {
    int32_t shift = -v.e;
    if (!v.m || shift > 53) return 0;
    if (shift <= 12) return (uint64_t)1 << 40;
    return (v.m + (((uint64_t)1 << (shift - 1)) - 1) + (v.m >> shift & 1u)) >> shift;
}

/* In units of the input, of which 2^-16 are told apart first: see quantised() of mcusim/data/preprocess.py. */
static void put_number(const mcusim_front_end *r, uint32_t at, float value) {
    if (r->bytes == 4) {
        ((float *)r->y)[at] = value;
        return;
    }
    uint64_t parts = nearest_integer(mcusim_real_product(mcusim_real_of(magnitude(value)), r->scale));
    int32_t units = (int32_t)((parts + 0x7fffu + (parts >> 16 & 1u)) >> 16);
    units = (value < 0.0f ? -units : units) + r->zero;
    units = units < r->low ? r->low : units > r->high ? r->high : units;
    if (r->bytes == 2)
        ((int16_t *)r->y)[at] = (int16_t)units;
    else
        ((int8_t *)r->y)[at] = (int8_t)units;
}

static float loudness(const mcusim_front_end *r) {
    int32_t largest = 1;
    if (!r->peak) return 1.0f / 32768.0f;
    for (uint32_t i = 0; i < r->count; i++) {
        int32_t s = r->samples[i] < 0 ? -r->samples[i] : r->samples[i];
        largest = s > largest ? s : largest;
    }
    return 1.0f / (float)largest;
}

void mcusim_hear(const void *record, mcusim_state *state) {
    const mcusim_front_end *r = (const mcusim_front_end *)record;
    const float factor = loudness(r);
    float *z = r->scratch, *y = z + r->points + 2;
    (void)state;
    for (uint32_t f = 0; f < r->frames; f++) {
        const int16_t *samples = r->samples + f * r->hop;
        for (uint32_t i = 0; i < r->frame; i++) z[i] = (float)samples[i] * factor * r->window[i];
        for (uint32_t i = r->frame; i < r->points; i++) z[i] = 0.0f;
        transform(z, r->points / 2u, r->waves);
        magnitudes(z, r->points / 2u, r->waves);
        bands(r, z, y);
        for (uint32_t c = 0; c < r->columns; c++) {
            float total = 0.0f;
            for (uint32_t b = 0; r->cosines && b < r->bands; b++) total += y[b] * r->cosines[b * r->columns + c];
            put_number(r, f * r->columns + c, r->cosines ? total : y[c]);
        }
    }
}
