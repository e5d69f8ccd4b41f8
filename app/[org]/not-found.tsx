import { NotFoundNote } from '../../components/layout/not-found-note.tsx';

export default function NotFound() {
  return <NotFoundNote />;
}
