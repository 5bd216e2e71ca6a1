/* More gradients of inputs, for one pair of error types: of filters, products of matrices and normalised rows. */

/* In groups: taps row by row, in a tap the outputs of the input's group ascending. */
void NAME(mcusim_grad_grouped)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const mcusim_window *m = &r->window;
    int ci = m->ci, co = m->co, taps = m->kh * m->kw, depth = ci / r->groups, each = co / r->groups;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++)
            for (int k = 0; k < ci; k++) {
                int first = k / depth * each, slot = NAME(slot)(r, k), tap = 0;
                float s = 0.0f;
                for (int u = 0; u < m->kh; u++) {
                    int a = NAME(met)(y, m->top, u * m->dh, m->sh, m->oh);
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int b = NAME(met)(x, m->left, v * m->dw, m->sw, m->ow);
                        if (a < 0 || b < 0) continue;
                        const int8_t *q = slot < 0 ? (const int8_t *)r->weight + (first * taps + tap) * depth + k % depth
                                                   : r->columns + (slot * taps + tap) * each;
                        int stride = slot < 0 ? taps * depth : 1;
                        uint32_t at = (uint32_t)((a * m->ow + b) * co);
                        for (int o = first; o < first + each; o++, q += stride)
                            s += NAME(load)((const GY *)r->g, r->from.scale, r->mask, at + (uint32_t)o) *
                                 r->factor[o] * (float)(*q - r->weight_zero);
                    }
                }
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * m->w + x) * ci + k), s);
            }
}

/* Transposed: a convolution of the outputs' gradients. */
void NAME(mcusim_grad_transposed)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const mcusim_window *m = &r->window;
    int ci = m->ci, co = m->co, taps = m->kh * m->kw;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++)
            for (int k = 0; k < ci; k++) {
                int slot = NAME(slot)(r, k), stride = slot < 0 ? taps * ci : 1, tap = 0;
                float s = 0.0f;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int row = y * m->sh + u * m->dh - m->top, col = x * m->sw + v * m->dw - m->left;
                        if (row < 0 || row >= m->oh || col < 0 || col >= m->ow) continue;
                        const int8_t *q = slot < 0 ? (const int8_t *)r->weight + tap * ci + k
                                                   : r->columns + (slot * taps + tap) * co;
                        uint32_t at = (uint32_t)((row * m->ow + col) * co);
                        for (int o = 0; o < co; o++, q += stride)
                            s += NAME(load)((const GY *)r->g, r->from.scale, r->mask, at + (uint32_t)o) *
                                 r->factor[o] * (float)(*q - r->weight_zero);
                    }
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * m->w + x) * ci + k), s);
            }
}

static float NAME(product)(const mcusim_grad_product *r, uint32_t g, uint32_t other) {
    float s = 0.0f;
    for (int k = 0; k < r->inner; k++, g += r->g_inner, other += r->other_inner) {
        float slope = (float)(mcusim_read(r->other, r->wide, other) - r->other_zero) * r->factor;
        s += NAME(load)((const GY *)r->g, r->from.scale, r->mask, g) * slope;
    }
    return s;
}

/* What is summed over ascends; then come the stacks over which this matrix was broadcast, the first one within the
 * second. */
void NAME(mcusim_grad_product)(const void *record, mcusim_state *state) {
    const mcusim_grad_product *r = (const mcusim_grad_product *)record;
    uint32_t to = 0, i[4];
    for (i[0] = 0; i[0] < r->dims[0]; i[0]++)
        for (i[1] = 0; i[1] < r->dims[1]; i[1]++)
            for (i[2] = 0; i[2] < r->dims[2]; i[2]++)
                for (i[3] = 0; i[3] < r->dims[3]; i[3]++, to++) {
                    uint32_t g = 0, other = 0;
                    float value = 0.0f;
                    for (int d = 0; d < 4; d++) {
                        g += i[d] * r->g_stride[d];
                        other += i[d] * r->other_stride[d];
                    }
                    for (uint32_t b = 0; b < r->sums[1]; b++) {
                        float part = 0.0f;
                        for (uint32_t a = 0; a < r->sums[0]; a++)
                            part += NAME(product)(r, g + a * r->g_sum[0] + b * r->g_sum[1],
                                                  other + a * r->other_sum[0] + b * r->other_sum[1]);
                        value += part;
                    }
                    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to, value);
                }
}

/* g - p * sum of g over rows, p = exp of what LOG_SOFTMAX gave. */
void NAME(mcusim_grad_log_softmax)(const void *record, mcusim_state *state) {
    const mcusim_grad_softmax *r = (const mcusim_grad_softmax *)record;
    const GY *g = (const GY *)r->g;
    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t first = i * r->columns;
        float total = 0.0f;
        for (uint32_t j = first; j < first + r->columns; j++) total += NAME(load)(g, r->from.scale, r->mask, j);
        for (uint32_t j = first; j < first + r->columns; j++) {
            float p = mcusim_exponential(NAME(share)(r, j));
            float v = (NAME(load)(g, r->from.scale, r->mask, j) - p * total) * r->factor;
            NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, j, v);
        }
    }
}

/* (g - u * sum of g u) / |x| over rows, u = x / |x|; p is x. */
void NAME(mcusim_grad_l2)(const void *record, mcusim_state *state) {
    const mcusim_grad_softmax *r = (const mcusim_grad_softmax *)record;
    const GY *g = (const GY *)r->g;
    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t first = i * r->columns;
        const int8_t *x = (const int8_t *)r->p;
        float norm = mcusim_length(x + first, r->columns, r->p_zero), total = 0.0f;
        for (uint32_t j = first; j < first + r->columns; j++)
            total += NAME(load)(g, r->from.scale, r->mask, j) * ((float)(x[j] - r->p_zero) / norm);
        for (uint32_t j = first; j < first + r->columns; j++) {
            float unit = (float)(x[j] - r->p_zero) / norm;
            float v = (NAME(load)(g, r->from.scale, r->mask, j) - unit * total) / norm * r->factor;
            NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, j, v);
        }
    }
}
