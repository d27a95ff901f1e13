// One step of one neuron, in neurosam's integers: a skeleton to replace by a design of your own, port for port.
//
//     i = wrap32(a * 64), with gain and offset where the population has them
//     u = wrap24(wrap32(u * factor_u / 4096 + i))        / truncates toward zero
//     v = saturate(wrap32(v * factor_v / 4096 + u + bias))
//     s = v > threshold, then the reset
//
// and the options of network/dynamics.py. A core has one datapath and keeps the state of its neurons in a memory; so this
// module is combinational, and tb.v holds the memories. population.vh has the options of one population.

`include "population.vh"

module lif (
    input  wire signed [31:0] a,               // sum of weighted events
    input  wire signed [31:0] gain, offset,    // row of this step; unused without tables
    input  wire signed [31:0] factor_u, factor_v, bias, threshold, amount, lower_bound, factor_h, threshold_step, factor_r,
    input  wire signed [31:0] u, v, wait_, h, r,
    output reg  signed [31:0] next_u, next_v, next_wait, next_h, next_r,
    output reg  signed [31:0] s                // how often it fires
);
    localparam ZERO = 0, SUBTRACT = 1, VALUE = 2, NONE = 3, RELATIVE = 4;
    localparam signed [63:0] STATE_MAX = 64'sd8388607;
    localparam signed [63:0] TURN = 64'sd16777216, HALF = 64'sd8388608;

    function signed [63:0] wrap32(input signed [63:0] x);
        wrap32 = {{32{x[31]}}, x[31:0]};
    endfunction

    function signed [63:0] wrap24(input signed [63:0] x);  // once: +2^23 stays, -2^23 becomes +2^23
        begin
            wrap24 = x > HALF ? x - TURN : x;
            if (wrap24 <= -HALF) wrap24 = wrap24 + TURN;
        end
    endfunction

    function signed [63:0] saturate(input signed [63:0] x);
        saturate = x > STATE_MAX ? STATE_MAX : x < -STATE_MAX ? -STATE_MAX : x;
    endfunction

    function signed [63:0] decay(input signed [63:0] x, input signed [63:0] factor);
        decay = x * factor / 64'sd4096;  // toward zero
    endfunction

    reg signed [63:0] i, x, start, level, theta, less, n;
    reg signed [1:0] late, held;  // 0 or 1

    always @* begin
        i = wrap32({{32{a[31]}}, a} <<< 6);
        if (`TABLES) begin
            x = i * gain;
            i = wrap32((x >>> `GAIN_SHIFT) + offset);
        end
        next_u = wrap24(wrap32(decay(u, factor_u) + i));

        late = `DELAYED && (`AT ? v >= threshold : v > threshold);
        start = v;
        if (late && `RESET == ZERO) start = 0;
        if (late && `RESET == VALUE) start = amount;
        x = wrap32(wrap32(decay(start, factor_v) + next_u) + bias);
        if (late && `RESET == SUBTRACT) x = wrap32(x - amount);
        held = `REFRACTORY > 0 && wait_ > 0;
        level = held ? v : saturate(x);
        next_wait = wait_ - held;

        next_h = `ADAPTIVE ? decay(h, factor_h) : 64'sd0;
        next_r = `RESET == RELATIVE ? decay(r, factor_r) : 64'sd0;
        theta = threshold + next_h;
        less = `ADAPTED || `RESET != SUBTRACT ? theta : amount;
        if (`MAX_SPIKES > 1) begin
            x = `AT ? level - theta + less : level - theta + less - 1;
            n = x > 0 ? x / less : 64'sd0;
            if (n > `MAX_SPIKES) n = `MAX_SPIKES;
        end else begin
            x = level - next_r;
            n = (`AT ? x >= theta : x > theta) ? 64'sd1 : 64'sd0;
        end
        if (held) n = 0;
        if (`REFRACTORY > 0 && n > 0) next_wait = `REFRACTORY;

        if (`CORRECTED) level = level - (n - late) * amount;
        if (!`DELAYED && n > 0)
            case (`RESET)
                ZERO: level = 0;
                SUBTRACT: level = level - n * less;
                VALUE: level = amount;
                RELATIVE: next_r = saturate(next_r + 2 * theta);
                default: ;
            endcase
        if (`ADAPTIVE) next_h = saturate(next_h + n * threshold_step);
        if (`BOUNDED && level < lower_bound) level = lower_bound;
        next_v = level;
        s = n;
    end
endmodule
