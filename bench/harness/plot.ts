import { init, use } from 'echarts/core';
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import type { Growth } from './figures.ts';

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** A growth as a picture: an SVG that stands on white and on dark pages alike. */
export function plot({ title, x, y, at, lines }: Growth): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 720, height: 400 });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 'center' },
    legend: { bottom: 0 },
    grid: { left: 90, right: 30, top: 50, bottom: 80 },
    xAxis: { type: 'category', data: [...at], name: x, nameLocation: 'middle', nameGap: 28 },
    yAxis: { type: 'value', name: y },
    series: Object.entries(lines).map(([name, values]) => ({
      name,
      type: 'line',
      symbolSize: 6,
      data: values.map((value) => Math.round(value)),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
