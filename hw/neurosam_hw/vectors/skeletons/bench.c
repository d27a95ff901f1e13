/* Bench of a network's populations: computes what arrives from weights and golden spikes, drives lif.c step by step, and
   stops at the first mismatch with exit status 1.

       cc -std=c99 -O2 -o bench bench.c lif.c && ./bench */
#include <stdio.h>
#include <stdlib.h>

#include "vectors.h"

static int count(struct shape x) { return x.channels * x.height * x.width; }

static long compared;

static void compare(int t, int b, const char *name, int k, const char *variable, int32_t got, int32_t expected) {
    if (got != expected) {
        printf("mismatch: step %d, sample %d, population %s, neuron %d, variable %s: got %ld, expected %ld\n", t, b, name,
               k, variable, (long)got, (long)expected);
        exit(1);
    }
    compared++;
}

static void *room(size_t n, size_t size) {
    void *x = calloc(n ? n : 1, size);
    if (!x) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return x;
}

/* Pixel that a tap of a window reads, or -1 outside the picture. */
static int reads(int out, int tap, const struct window *w, int axis, int size) {
    int at = out * w->stride[axis] + tap * w->dilation[axis] - w->padding[axis];
    return at < 0 || at >= size ? -1 : at;
}

/* Sums, or the largest values, of the windows of x (shape from) into y (shape to). */
static void pool(const int32_t *x, struct shape from, const struct window *w, int32_t *y, struct shape to, int largest) {
    for (int c = 0; c < to.channels; c++)
        for (int i = 0; i < to.height; i++)
            for (int j = 0; j < to.width; j++) {
                int32_t best = largest ? INT32_MIN : 0;
                for (int m = 0; m < w->kernel[0]; m++)
                    for (int n = 0; n < w->kernel[1]; n++) {
                        int row = reads(i, m, w, 0, from.height), column = reads(j, n, w, 1, from.width);
                        if (row < 0 || column < 0) continue;
                        int32_t value = x[(c * from.height + row) * from.width + column];
                        best = !largest ? best + value : value > best ? value : best;
                    }
                y[(c * to.height + i) * to.width + j] = best;
            }
}

static void convolve(const struct projection *p, const int32_t *x, int64_t *y, struct shape to) {
    const struct window *w = p->window;
    int group = p->pooled.channels / p->groups, rows = to.channels / p->groups;
    for (int o = 0; o < to.channels; o++)
        for (int i = 0; i < to.height; i++)
            for (int j = 0; j < to.width; j++)
                for (int c = 0; c < group; c++)
                    for (int m = 0; m < w->kernel[0]; m++)
                        for (int n = 0; n < w->kernel[1]; n++) {
                            int row = reads(i, m, w, 0, p->pooled.height), column = reads(j, n, w, 1, p->pooled.width);
                            if (row < 0 || column < 0) continue;
                            int from = o / rows * group + c;
                            y[(o * to.height + i) * to.width + j] +=
                                (int64_t)p->weight[((o * group + c) * w->kernel[0] + m) * w->kernel[1] + n] *
                                x[(from * p->pooled.height + row) * p->pooled.width + column];
                        }
}

/* Add what a projection delivers for the values x of its source. */
static void deliver(const struct projection *p, const int32_t *x, struct shape to, int64_t *sums, int32_t *pooled,
                    int64_t *y) {
    int targets = count(to), sources = count(p->pooled);
    if (p->pool) {
        pool(x, populations[p->source].shape, p->pool, pooled, p->pooled, 0);
        x = pooled;
    }
    for (int k = 0; k < targets; k++) y[k] = 0;
    if (p->kind == CONV) convolve(p, x, y, to);
    for (int k = 0; p->kind == DENSE && k < targets; k++)
        for (int n = 0; n < sources; n++) y[k] += (int64_t)p->weight[(size_t)k * sources + n] * x[n];
    for (int k = 0; p->kind == SPARSE && k < targets; k++)
        for (int n = p->indptr[k]; n < p->indptr[k + 1]; n++) y[k] += (int64_t)p->weight[n] * x[p->indices[n]];
    int64_t unit = (int64_t)1 << (p->exponent < 0 ? -p->exponent : p->exponent);
    for (int k = 0; k < targets; k++) /* a negative exponent rounds down */
        sums[k] += p->exponent >= 0 ? y[k] * unit : (y[k] - ((y[k] % unit) + unit) % unit) / unit;
}

/* What arrives at population q in step t of sample b, from the golden spikes of its sources. */
static void arrive(int q, int t, int b, int64_t *sums, int32_t *pooled, int64_t *y, int32_t *a) {
    const struct population *to = &populations[q];
    int n = count(to->drive);
    for (int k = 0; k < n; k++) sums[k] = 0;
    for (int i = 0; i < PROJECTIONS; i++) {
        const struct projection *p = &projections[i];
        if (p->target != q || t < p->lag) continue;
        const struct population *from = &populations[p->source];
        deliver(p, from->s + ((size_t)(t - p->lag) * SAMPLES + b) * count(from->shape), to->drive, sums, pooled, y);
    }
    for (int k = 0; k < n; k++) pooled[k] = (int32_t)sums[k];
    if (to->pool)
        pool(pooled, to->drive, to->pool, a, to->shape, 1);
    else
        for (int k = 0; k < n; k++) a[k] = pooled[k];
}

static int most(int q) {
    int n = count(populations[q].drive);
    for (int i = 0; i < PROJECTIONS; i++)
        if (projections[i].target == q && count(projections[i].pooled) > n) n = count(projections[i].pooled);
    return n;
}

static void test(int q) {
    const struct population *p = &populations[q];
    int n = count(p->shape), pixels = p->shape.height * p->shape.width, channels = p->shape.channels, room_for = most(q);
    int64_t *sums = room(room_for, sizeof *sums), *y = room(room_for, sizeof *y);
    int32_t *pooled = room(room_for, sizeof *pooled), *a = room(n, sizeof *a), *map = room(pixels, sizeof *map);
    struct state *states = room((size_t)n * SAMPLES, sizeof *states);
    struct trace *traces = room((size_t)n * SAMPLES, sizeof *traces);
    for (int b = 0; b < SAMPLES; b++)
        for (int k = 0; k < n; k++) {
            states[b * n + k].u = p->initial_u[k];
            states[b * n + k].v = p->initial_v[k];
        }
    for (int t = 0; t < STEPS; t++)
        for (int b = 0; b < SAMPLES; b++) {
            arrive(q, t, b, sums, pooled, y, a);
            for (int k = 0; k < pixels; k++) map[k] = 0;
            for (int k = 0; k < n; k++) {
                size_t at = ((size_t)t * SAMPLES + b) * n + k;
                int row = t * channels + k / pixels;
                compare(t, b, p->name, k, "a", a[k], p->a[at]);
                int32_t s = lif_step(&states[b * n + k], &p->parameters[k], p->options, a[k],
                                     p->options->tables ? p->gain[row] : 0, p->options->tables ? p->offset[row] : 0);
                compare(t, b, p->name, k, "u", states[b * n + k].u, p->u[at]);
                compare(t, b, p->name, k, "s", s, p->s[at]);
                compare(t, b, p->name, k, "v", states[b * n + k].v, p->v[at]);
                if (p->sam) map[k % pixels] += sam_step(&traces[b * n + k], p->sam, s, t);
            }
            for (int k = 0; p->sam && k < pixels; k++)
                compare(t, b, p->name, k, "sam", map[k], p->map[((size_t)t * SAMPLES + b) * pixels + k]);
        }
    free(sums), free(y), free(pooled), free(a), free(map), free(states), free(traces);
}

int main(void) {
    for (int q = 0; q < POPULATIONS; q++) {
        long before = compared;
        if (!populations[q].tested) continue;
        test(q);
        printf("population %s: 0 mismatches in %ld values\n", populations[q].name, compared - before);
    }
    return 0;
}
