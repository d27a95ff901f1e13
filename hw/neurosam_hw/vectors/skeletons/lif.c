/* One step of one neuron and of its SAM trace, in neurosam's integers: a skeleton to replace by your own (lif.h).

       i = wrap32(a * 64), with gain and offset where the population has them
       u = wrap24(wrap32(u * factor_u / 4096 + i))        / truncates toward zero
       v = saturate(wrap32(v * factor_v / 4096 + u + bias))
       s = v > threshold, then the reset

   and the options of network/dynamics.py. Products need 64 bits; no other type is wider than 32. */
#include "lif.h"

static const int64_t STATE_MAX = 8388607, HALF = 8388608, TURN = 16777216;

static int64_t wrap32(int64_t x) {
    uint32_t low = (uint32_t)x;
    return low & 0x80000000u ? (int64_t)low - 4294967296 : (int64_t)low;
}

static int64_t wrap24(int64_t x) { /* once: +2^23 stays, -2^23 becomes +2^23 */
    if (x > HALF) x -= TURN;
    return x <= -HALF ? x + TURN : x;
}

static int64_t saturate(int64_t x) { return x > STATE_MAX ? STATE_MAX : x < -STATE_MAX ? -STATE_MAX : x; }

static int64_t floor_shift(int64_t x, int n) { return x < 0 ? ~(~x >> n) : x >> n; }

static int64_t decay(int64_t x, int64_t factor) { return x * factor / 4096; } /* toward zero */

int32_t lif_step(struct state *z, const struct parameters *p, const struct options *o, int32_t a, int32_t gain,
                 int32_t offset) {
    int64_t i = wrap32((int64_t)a * 64);
    if (o->tables) i = wrap32(floor_shift(i * gain, o->gain_shift) + offset);
    z->u = (int32_t)wrap24(wrap32(decay(z->u, p->factor_u) + i));

    int late = o->delayed && (o->at ? z->v >= p->threshold : z->v > p->threshold);
    int64_t start = z->v;
    if (late && o->reset == ZERO) start = 0;
    if (late && o->reset == VALUE) start = p->amount;
    int64_t x = wrap32(wrap32(decay(start, p->factor_v) + z->u) + p->bias);
    if (late && o->reset == SUBTRACT) x = wrap32(x - p->amount);
    int held = o->refractory > 0 && z->wait > 0;
    int64_t v = held ? z->v : saturate(x);
    z->wait -= held;

    int64_t h = o->adaptive ? decay(z->h, p->factor_h) : 0;
    int64_t r = o->reset == RELATIVE ? decay(z->r, p->factor_r) : 0;
    int64_t theta = p->threshold + h;
    int64_t amount = o->adapted || o->reset != SUBTRACT ? theta : p->amount;
    int64_t s;
    if (o->max_spikes > 1) {
        x = v - theta + amount - !o->at;
        s = x > 0 ? x / amount : 0;
        if (s > o->max_spikes) s = o->max_spikes;
    } else
        s = o->at ? v - r >= theta : v - r > theta;
    if (held) s = 0;
    if (o->refractory > 0 && s > 0) z->wait = o->refractory;

    if (o->corrected) v -= (s - late) * p->amount;
    if (!o->delayed && s > 0) {
        if (o->reset == ZERO) v = 0;
        if (o->reset == SUBTRACT) v -= s * amount;
        if (o->reset == VALUE) v = p->amount;
        if (o->reset == RELATIVE) r = saturate(r + 2 * theta);
    }
    if (o->adaptive) h = saturate(h + s * p->threshold_step);
    if (o->bounded && v < p->lower_bound) v = p->lower_bound;
    z->v = (int32_t)v;
    z->h = (int32_t)h;
    z->r = (int32_t)r;
    return (int32_t)s;
}

int32_t sam_step(struct trace *z, const struct sam *k, int32_t s, int32_t t) {
    if (s == 0) return 0;
    int32_t age = t - z->last, end = k->entries - 1;
    int64_t decayed = ((int64_t)z->trace * k->kernel[age < end ? age : end]) >> k->shift;
    int64_t left = decayed + (int64_t)s * k->impulse;
    z->trace = (int32_t)left;
    z->last = t;
    z->fired++;
    int64_t silent = ((int64_t)(t + 1 - z->fired) * k->impulse * k->kernel[t < end ? t : end]) >> k->shift;
    return (int32_t)(s * (k->mode == STRICT ? decayed : k->mode == INCLUSIVE ? left : left + silent));
}
