/* The tables of vectors.h. Values lie in the order step, sample, neuron; a map's in step, sample, pixel. */
#ifndef NEUROSAM_BENCH_H
#define NEUROSAM_BENCH_H
#include "lif.h"

struct shape {
    int channels, height, width;
};

struct window {
    int kernel[2], stride[2], padding[2], dilation[2]; /* height, width */
};

/* A population: what it sends (s), and where it is tested, all else. */
struct population {
    const char *name;
    struct shape shape;
    int input, tested;
    const struct options *options;
    const struct parameters *parameters; /* of each neuron */
    const int32_t *initial_u, *initial_v;
    const int32_t *gain, *offset; /* step, channel */
    const int32_t *a, *s, *u, *v;
    const struct sam *sam; /* or none */
    const int32_t *map;
    const struct window *pool; /* the largest of the sums in each window, or none */
    struct shape drive;        /* of the sums */
};

enum kind { DENSE, CONV, SPARSE };

/* Synapses: dense (target, source), conv (target channel, source channel of its group, row, column), or CSR rows. */
struct projection {
    int source, target; /* in populations[] */
    enum kind kind;
    int lag, exponent, groups;
    const struct window *pool; /* sums of windows in front of the synapses, or none */
    struct shape pooled;       /* what the synapses read */
    const struct window *window;
    const int8_t *weight;
    const int32_t *indptr, *indices;
};

#endif
