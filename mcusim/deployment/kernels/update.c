/* Stochastic gradient descent on parameters in every format, in integers and float32 alone.
 *
 * Where the definition says float64 (one subtraction, one rounding), the same bits are found in 64-bit
 * integers: no double is needed on a core that has none. */
#include "arithmetic.h"

mcusim_rule mcusim_weight_plain, mcusim_weight_nearest, mcusim_weight_stochastic, mcusim_weight_residual,
    mcusim_weight_master;
mcusim_rule mcusim_bias_plain, mcusim_bias_nearest, mcusim_bias_stochastic, mcusim_bias_residual;

uint64_t mcusim_key(uint64_t seed, uint64_t counter) { return mcusim_mix(mcusim_mix(seed) + MCUSIM_GOLDEN * (counter + 1)); }

float mcusim_rate(const mcusim_learner *learner, const mcusim_state *state) { return state->rates[learner->group]; }

/* Take one gradient: add it to the sum, or move the parameter. at: where in its buffer, element: which of the
 * whole parameter, output: whose factor, summed: where its sum is. */
void mcusim_learn(const mcusim_learner *l, const mcusim_state *state, uint64_t key, uint32_t at, uint32_t element,
                  uint32_t output, uint32_t summed, float gradient) {
    if (l->total && l->every) {
        l->total[summed] += gradient;
        return;
    }
    float scaled = l->factor ? gradient * l->factor[output] : gradient * 1.0f;
    if (l->velocity) {
        scaled = l->momentum * l->velocity[at] + scaled;
        l->velocity[at] = scaled;
    }
    uint32_t word = (uint32_t)(mcusim_mix(key + MCUSIM_GOLDEN * ((uint64_t)element + 1)) >> 32);
    l->rule(l, at, mcusim_rate(l, state) * scaled, word);
}

/* The mean starts as the first square that is not 0. */
void mcusim_adapt(const mcusim_learner *l, const mcusim_moment *moment, const mcusim_state *state, uint64_t key,
                  uint32_t at, uint32_t element, uint32_t output, uint32_t summed, float gradient) {
    if (!moment->square || (l->total && l->every)) {
        mcusim_learn(l, state, key, at, element, output, summed, gradient);
        return;
    }
    float scaled = l->factor ? gradient * l->factor[output] : gradient * 1.0f, value = scaled;
    if (l->velocity) {
        value = l->momentum * l->velocity[at] + value;
        l->velocity[at] = value;
    }
    float power = gradient * scaled, before = moment->square[at];
    float mean = before == 0.0f ? power : moment->decay * before + moment->rest * power;
    moment->square[at] = mean;
    value = value / (mcusim_root(mean) + 1e-8f);
    uint32_t word = (uint32_t)(mcusim_mix(key + MCUSIM_GOLDEN * ((uint64_t)element + 1)) >> 32);
    l->rule(l, at, mcusim_rate(l, state) * value, word);
}

void mcusim_weight_plain(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    float *value = (float *)l->value;
    (void)word;
    value[at] = value[at] - step;
}

void mcusim_bias_plain(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    mcusim_weight_plain(l, at, step, word);
}

static int8_t top(int32_t v) { return (int8_t)(v < -127 ? -127 : v > 127 ? 127 : v); }

/* Round to the nearest, in float32; NaN becomes the lowest. */
static int8_t to_int8(float v) { return top((int32_t)mcusim_rint(mcusim_near(v, 4194304.0f))); }

void mcusim_weight_nearest(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int8_t *value = (int8_t *)l->value;
    (void)word;
    value[at] = to_int8((float)value[at] - step);
}

void mcusim_weight_master(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    float *master = (float *)l->extra;
    (void)word;
    master[at] = master[at] - step;
    ((int8_t *)l->value)[at] = to_int8(master[at]);
}

void mcusim_weight_residual(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int8_t *value = (int8_t *)l->value, *residual = (int8_t *)l->extra;
    float fixed = (float)(value[at] * 256 + residual[at]) - step * 256.0f;
    int32_t v = (int32_t)mcusim_rint(mcusim_near(fixed, 4194304.0f));
    (void)word;
    v = v < -32640 ? -32640 : v > 32639 ? 32639 : v;
    int32_t high = (v + 128) >> 8;
    value[at] = (int8_t)high;
    residual[at] = (int8_t)(v - high * 256);
}

/* A float32 taken apart: whole + fraction / 2^32 for 2^-9 <= |x| < 2^34, and what is beyond. */
#define FAR ((int64_t)1 << 34)

static int is_nan(uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }

static int length(uint64_t v) {
    int n = 0;
    while (v) {
        v >>= 1;
        n++;
    }
    return n;
}

/* floor(u - step) in float64, u = word / 2^32; -FAR or FAR for what no parameter survives, NaN too. */
static int64_t floor_of(float step, uint32_t word) {
    uint32_t bits = mcusim_word(step), size = bits & 0x7fffffffu;
    int negative = (int)(bits >> 31), e = (int)(size >> 23) - 127;
    int64_t mantissa = (int64_t)((size & 0x7fffffu) | 0x800000u); /* step = mantissa * 2^(e - 23) */
    if (is_nan(bits)) return -FAR;
    if (e >= 34) return negative ? FAR : -FAR;
    if (e < -37) return !negative && size && !word ? -1 : 0;
    if (e < -9) { /* in units of 2^-52, or of 2^-60 where the last bits lie deeper */
        int unit = e < -29 ? 60 : 52;
        int64_t d = (int64_t)word << (unit - 32), s = mantissa << (unit + e - 23);
        d = negative ? d + s : d - s;
        /* float64 has no number between 1 - 2^-53 and 1 */
        if (unit == 60 && d >= ((int64_t)1 << 60) - 64 && d < (int64_t)1 << 60) return 1;
        return d >> unit;
    }
    /* in units of 2^-32: whole + part, 0 <= part < 2^32 */
    int64_t whole, part;
    if (e - 23 + 32 >= 32) {
        whole = mantissa << (e - 23), part = 0;
    } else {
        int64_t fixed = mantissa << (e + 9);
        whole = fixed >> 32, part = fixed & 0xffffffff;
    }
    part = negative ? (int64_t)word + part : (int64_t)word - part;
    whole = (negative ? whole : -whole) + (part >> 32);
    part &= 0xffffffff;
    uint64_t above = whole >= 0 ? (uint64_t)whole : (uint64_t)(-whole - (part != 0));
    int lost = length(above) - 1 - 20; /* bits of the part that float64 rounds away, half to even */
    if (lost > 0) {
        int64_t unit = (int64_t)1 << lost, rest = part & (unit - 1), half = unit >> 1;
        int64_t odd = (part >> lost) & 1;
        part += rest > half || (rest == half && odd) ? unit - rest : -rest;
        whole += part >> 32;
    }
    return whole;
}

/* rint(value - step) in float64, |value| < 2^41. */
static int64_t nearest_of(int64_t value, float step) {
    uint32_t bits = mcusim_word(step), size = bits & 0x7fffffffu;
    int negative = (int)(bits >> 31), e = (int)(size >> 23) - 127;
    if (is_nan(bits)) return -((int64_t)1 << 50);
    if (e >= 45) return negative ? (int64_t)1 << 50 : -((int64_t)1 << 50);
    int64_t whole = 0;
    float rest = step;
    if (e >= 23) {
        int64_t s = (int64_t)((size & 0x7fffffu) | 0x800000u) << (e - 23);
        return value + (negative ? s : -s);
    }
    if (e >= 0) {
        int32_t cut = (int32_t)step; /* towards zero: the rest is exact and has the sign of the step */
        whole = cut;
        rest = step - (float)cut;
    }
    int64_t r = value - whole, other = negative ? r + 1 : r - 1;
    float away = mcusim_float(mcusim_word(rest) & 0x7fffffffu) - 0.5f;
    float distance = mcusim_float(mcusim_word(away) & 0x7fffffffu);
    int64_t twice = 2 * r + (negative ? 1 : -1); /* twice the half between both */
    int p = length((uint64_t)(twice < 0 ? -twice : twice)) - 2;
    /* float64 cannot tell what is nearer to the half than half its unit there, 2^(p - 53) */
    int tie = distance == 0.0f || (p > 20 && distance <= mcusim_float((uint32_t)(127 + p - 53) << 23));
    if (tie) return r & 1 ? other : r;
    return away < 0.0f ? r : other;
}

static int32_t bounded(int64_t v) { return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v; }

void mcusim_weight_stochastic(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int8_t *value = (int8_t *)l->value;
    value[at] = top(bounded(value[at] + floor_of(step, word)));
}

void mcusim_bias_stochastic(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int32_t *value = (int32_t *)l->value;
    value[at] = bounded(value[at] + floor_of(step, word));
}

void mcusim_bias_nearest(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int32_t *value = (int32_t *)l->value;
    (void)word;
    value[at] = bounded(nearest_of(value[at], step));
}

void mcusim_bias_residual(const mcusim_learner *l, uint32_t at, float step, uint32_t word) {
    int32_t *value = (int32_t *)l->value;
    int8_t *residual = (int8_t *)l->extra;
    const int64_t low = -((int64_t)1 << 39) - 128, high = ((int64_t)INT32_MAX << 8) + 127;
    int64_t v = nearest_of((int64_t)value[at] * 256 + residual[at], step * 256.0f);
    (void)word;
    v = v < low ? low : v > high ? high : v;
    int64_t whole = (v + 128) >> 8;
    value[at] = (int32_t)whole;
    residual[at] = (int8_t)(v - whole * 256);
}
