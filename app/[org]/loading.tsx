import { Loading } from '../../components/ui/spinner.tsx';

export default function PageLoading() {
  return <Loading label="Loading" />;
}
